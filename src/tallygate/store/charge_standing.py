"""What stands in the store that a batch of events is about, asked for all at once.

Wallets come first, in the order of their ids, and stay locked: nobody else changes their charges
while the rest is read and decided.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tallygate.core.charging import Event, Source
from tallygate.core.wallet import Wallet
from tallygate.store import budgets, charge_ids, charge_rows, wallets
from tallygate.store.charge_rows import Alias, Row
from tallygate.store.database import Tx
from tallygate.store.tx import Read

HINT: Final = "hint"  # the kind of names that claim nothing


@dataclass(frozen=True, slots=True)
class Standing:
    """Wallets by account, charges by the names of events, and ids for as many new charges."""

    wallets: dict[str, Wallet]
    known: dict[Alias, Row]
    ids: Sequence[int]
    is_watched: bool  # somebody asked to be told of what is spent


async def read(tx: Tx, events: Sequence[Event], now_ms: int) -> Standing:
    standing, _ = await read_with(tx, events, now_ms)
    return standing


async def read_with(
    tx: Tx, events: Sequence[Event], now_ms: int, *beside: Read
) -> tuple[Standing, list[list[Sequence[Any]]]]:
    """And the rows of what else is to be read."""
    locking = wallets.locking_of(event.account_id for event in events)
    finding = charge_rows.finding(names_of(events))
    taking = charge_ids.taking(len(events))
    locked, ids, watched, *rest = await tx.read_all(
        [locking, taking, (budgets.IS_WATCHED, ()), *finding, *beside]
    )
    standing = Standing(
        await wallets.locked_of(tx, locked, now_ms),
        await charge_rows.found(tx, rest[: len(finding)]),
        charge_ids.taken(tx, ids, len(events)),
        bool(watched[0][0]),
    )
    return standing, rest[len(finding) :]


def names_of(events: Sequence[Event]) -> Iterator[Alias]:
    for event in events:
        for kind, event_id in event.aliases:
            yield event.instance, kind, event_id
            if event.source is Source.BROWSER:
                yield event.instance, HINT, event_id
