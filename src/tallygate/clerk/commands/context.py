"""What a command is given: its transaction, its time, and ways to be heard of.

Events are collected and appended when the command has done its work: the feed's number is one row
that everyone who publishes has to lock.
"""

import datetime
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tallygate.clerk.options import Options
from tallygate.core.commands import Arguments
from tallygate.core.errors import Code, Refusal
from tallygate.core.ports import Actor
from tallygate.core.windows import zone_of
from tallygate.store import audit, feed
from tallygate.store.database import Tx

DAY_MS = 86_400_000


class MoneyLeased(Refusal):
    """Gateways have leased what a wallet is short of: ask them, and run the command again."""

    def __init__(self, wallet_id: int, refusal: Refusal) -> None:
        super().__init__(refusal.code, refusal.message)
        self.wallet_id = wallet_id


@dataclass(slots=True)
class Context:
    tx: Tx
    now_ms: int
    actor: Actor
    options: Options
    entropy: Callable[[int], bytes]
    may_recall: bool = False  # nobody has waited yet for what gateways lease
    events: list[tuple[str, int, int]] = field(default_factory=list)

    def publish(self, kind: str, subject: int = 0, detail: int = 0) -> None:
        self.events.append((kind, subject, detail))

    async def append_events(self) -> None:
        for kind, subject, detail in self.events:
            await feed.append(self.tx, kind, subject, detail, self.options.node_uuid, self.now_ms)

    async def audit(
        self, action: str, subject: str, before: object | None, after: object | None
    ) -> None:
        await audit.record(self.tx, self.actor, action, subject, before, after, self.now_ms)

    @property
    def today(self) -> datetime.date:
        zone = zone_of(self.options.time_zone)
        return datetime.datetime.fromtimestamp(self.now_ms / 1000, zone).date()


Handler = Callable[[Context, Any], Awaitable[Any]]  # a handler takes its own command's struct
Handlers = dict[type[Arguments], Handler]


def bad(message: str, param: str) -> Refusal:
    return Refusal(Code.BAD_REQUEST, message, param=param)
