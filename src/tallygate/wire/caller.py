"""The operators' end of the clerk's socket: send a command, await its result.

Control and the CLI use it. A clerk that is restarting is waited for; a connection that ends between
command and answer leaves the outcome unknown, which only an idempotency key can resolve.
"""

import asyncio
import itertools
from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec

from tallygate.core.commands import Arguments
from tallygate.core.errors import Code, Refusal, StoreUnavailable
from tallygate.core.ports import Actor, Command, Result
from tallygate.wire.channel import Channel, ChannelClosed

CONNECT_RETRY_S = 0.05

T = TypeVar("T")


class Caller:
    """Commands to the clerk behind one socket; connects when first needed, and again when lost."""

    def __init__(self, path: Path, *, patience_s: float = 5.0, deadline_s: float = 30.0) -> None:
        self._path = path
        self._patience_s = patience_s
        self._deadline_s = deadline_s
        self._channel: Channel | None = None
        self._connecting = asyncio.Lock()
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Result]] = {}

    async def __aenter__(self) -> "Caller":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    @overload
    async def command(
        self,
        arguments: Arguments,
        actor: Actor,
        idempotency_key: str | None = None,
        *,
        into: type[T],
        deadline_s: float | None = None,
    ) -> T: ...

    @overload
    async def command(
        self,
        arguments: Arguments,
        actor: Actor,
        idempotency_key: str | None = None,
        *,
        deadline_s: float | None = None,
    ) -> Any: ...

    async def command(
        self,
        arguments: Arguments,
        actor: Actor,
        idempotency_key: str | None = None,
        *,
        into: Any = Any,
        deadline_s: float | None = None,
    ) -> Any:
        """The command's value (plain, or decoded `into` a type); raises what the clerk refused."""
        channel = await self._connected()
        number = next(self._ids)
        waiter: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiter
        encoded = msgspec.msgpack.encode(arguments)
        try:
            channel.send(Command(number, arguments.NAME, encoded, actor, idempotency_key))
            async with asyncio.timeout(deadline_s or self._deadline_s):
                result = await waiter
        except ChannelClosed as error:
            raise StoreUnavailable("the clerk is not running") from error
        except TimeoutError as error:
            raise StoreUnavailable("the clerk did not answer in time") from error
        finally:
            del self._waiting[number]
        return _value(result, into)

    async def _connected(self) -> Channel:
        async with self._connecting:
            if self._channel is None or not self._channel.is_open:
                self._channel = await self._connect()
            return self._channel

    async def _connect(self) -> Channel:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._patience_s
        while True:
            try:
                async with asyncio.timeout(self._patience_s):
                    _, channel = await loop.create_unix_connection(
                        lambda: Channel(Result, self._answered, on_closed=self._lost),
                        str(self._path),
                    )
                return channel
            except (OSError, TimeoutError) as error:
                if loop.time() + CONNECT_RETRY_S > give_up_at:
                    raise StoreUnavailable("the clerk is not running") from error
            await asyncio.sleep(CONNECT_RETRY_S)

    def _answered(self, result: Result) -> None:
        waiter = self._waiting.get(result.id)
        if waiter is not None and not waiter.done():  # else its caller stopped waiting
            waiter.set_result(result)

    def _lost(self, error: Exception | None) -> None:
        for waiter in self._waiting.values():
            if not waiter.done():
                lost = StoreUnavailable("the clerk went away before it answered")
                lost.__cause__ = error
                waiter.set_exception(lost)


def _value(result: Result, into: Any) -> Any:
    if result.code == Code.STORE_UNAVAILABLE:
        raise StoreUnavailable(result.message)
    if result.code:
        raise Refusal(Code(result.code), result.message, param=result.param)
    return msgspec.msgpack.decode(result.value, type=into)
