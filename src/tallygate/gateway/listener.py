"""Accepting clients on a slot's listening socket, which belongs to the supervisor.

At the end whatever the kernel has queued is accepted before the socket is let go, so that a client
whose connection was made is also answered.
"""

import asyncio
import socket

from tallygate.wire.front import Front
from tallygate.wire.server import ClientConnection

BACKLOG = 1024


class Listener:
    """One listening socket as this worker serves it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listening: socket.socket, front: Front
    ) -> None:
        self._loop = loop
        self._socket = listening
        self._front = front
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await self._loop.create_server(
            self._connection, sock=self._socket.dup(), backlog=BACKLOG
        )

    async def close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        await asyncio.sleep(0)
        self._socket.setblocking(False)
        while True:
            try:
                accepted, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                break
            except OSError:  # this one is gone already; there may be others behind it
                continue
            await self._loop.connect_accepted_socket(self._connection, accepted)
        self._socket.close()

    def _connection(self) -> ClientConnection:
        return ClientConnection(self._front)
