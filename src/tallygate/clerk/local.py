"""The clerk inside another process: for the CLI when no server runs. It holds the same promises."""

from types import TracebackType
from typing import Any, TypeVar, overload

import msgspec
import structlog

from tallygate.clerk.clerk import Clerk
from tallygate.clerk.options import Options
from tallygate.core.commands import Arguments
from tallygate.core.ports import Actor
from tallygate.store.database import Database

STORE_DEADLINE_S = 30.0  # nobody else waits: a disk that is busy is no reason to give up

T = TypeVar("T")

log = structlog.get_logger("tallygate.clerk")


class LocalClerk:
    """Journals that a stopped server left behind are settled while it is open.

    The caller holds the node's lock: two clerks must never write for one node.
    """

    def __init__(self, options: Options) -> None:
        self._clerk = Clerk(
            options,
            on_failure=lambda name, error: log.error("a part died", part=name, exc_info=error),
            db=Database(options.database_url, deadline_s=STORE_DEADLINE_S),
        )

    async def __aenter__(self) -> "LocalClerk":
        try:
            await self._clerk.start()
        except BaseException:
            await self._clerk.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._clerk.close()

    @overload
    async def command(
        self,
        arguments: Arguments,
        actor: Actor,
        idempotency_key: str | None = None,
        *,
        into: type[T],
    ) -> T: ...

    @overload
    async def command(
        self, arguments: Arguments, actor: Actor, idempotency_key: str | None = None
    ) -> Any: ...

    async def command(
        self,
        arguments: Arguments,
        actor: Actor,
        idempotency_key: str | None = None,
        *,
        into: Any = Any,
    ) -> Any:
        """Like wire.caller.Caller.command."""
        encoded = msgspec.msgpack.encode(arguments)
        value = await self._clerk.command(arguments.NAME, encoded, actor, idempotency_key)
        return msgspec.msgpack.decode(value, type=into)
