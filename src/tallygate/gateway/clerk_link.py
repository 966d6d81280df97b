"""The worker's line to its clerk: kept open, told everything again after every reconnect.

The clerk's socket outlives its process, so connecting to a restarting clerk just waits.
"""

import asyncio
from collections.abc import Callable

import msgspec

from tallygate.core.ports import FromClerk, Hello, Welcome
from tallygate.tasks import Tasks
from tallygate.wire.channel import Channel, ChannelClosed

RECONNECT_S = 0.1


class ClerkLink:
    """Sends what it is given while the clerk is there, and says whether it could."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: Tasks,
        socket_path: str,
        hello: Hello,
        on_message: Callable[[FromClerk], None],
    ) -> None:
        self._loop = loop
        self._tasks = tasks
        self._socket_path = socket_path
        self._hello = hello
        self._on_message = on_message
        self._channel: Channel | None = None
        self._is_welcome = False
        self._is_closing = False

    def __repr__(self) -> str:
        return f"<ClerkLink welcome={self._is_welcome}>"

    def open(self) -> None:
        self._tasks.start(self._connect(), "connect to the clerk")

    def send(self, message: msgspec.Struct) -> bool:
        """False when there is no clerk; everything is told again once there is one."""
        if self._channel is None or not self._is_welcome:
            return False
        try:
            self._channel.send(message)
        except ChannelClosed:
            return False
        return True

    def close(self) -> None:
        self._is_closing = True
        if self._channel is not None:
            self._channel.close()

    async def _connect(self) -> None:
        while not self._is_closing:
            channel = Channel(FromClerk, self._received, None, self._lost)
            try:
                await self._loop.create_unix_connection(lambda c=channel: c, self._socket_path)  # type: ignore[misc]  # mypy cannot type a lambda's default
            except OSError:
                await asyncio.sleep(RECONNECT_S)
                continue
            self._channel = channel
            channel.send(self._hello)
            return

    def _received(self, message: FromClerk) -> None:
        if isinstance(message, Welcome):
            self._is_welcome = True
        self._on_message(message)

    def _lost(self, error: Exception | None) -> None:
        self._channel = None
        self._is_welcome = False
        if not self._is_closing:
            self._tasks.start(self._connect(), "connect to the clerk again")
