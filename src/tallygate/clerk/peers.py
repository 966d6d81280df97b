"""Who is connected to the clerk: workers, and operators who only send commands."""

import asyncio
from typing import Any

import msgspec
import structlog

from tallygate.core.ports import Gauges, Leave
from tallygate.wire.channel import Channel, ChannelClosed

log = structlog.get_logger("tallygate.clerk")


class Peer:
    """One connection. It is a worker's from its Hello on; `boot_id` is the store's name of it."""

    __slots__ = (
        "book_number",
        "boot",
        "boot_id",
        "channel",
        "gauges",
        "is_dismissed",
        "pid",
        "slot",
    )

    def __init__(self) -> None:
        self.channel: Channel | None = None
        self.slot = -1
        self.boot = 0
        self.pid = 0
        self.boot_id = 0
        self.gauges: Gauges | None = None
        self.is_dismissed = False
        self.book_number = 0  # of the prices that it charges by

    def __repr__(self) -> str:
        return f"<Peer {self.slot}/{self.boot}>" if self.is_worker else "<Peer operator>"

    @property
    def is_worker(self) -> bool:
        return self.slot >= 0

    @property
    def is_open(self) -> bool:
        return self.channel is not None and self.channel.is_open

    def send(self, message: msgspec.Struct) -> None:
        """To a peer that is gone nothing is sent: it says Hello when it is back."""
        try:
            if self.channel is not None:
                self.channel.send(message)
        except ChannelClosed:
            pass

    def dismiss(self) -> None:
        """Its life was ended in the store while it lives; a successor begins a new one."""
        if not self.is_dismissed:
            self.is_dismissed = True
            log.error("a worker's life is over in the store: it is told to leave", peer=repr(self))
            self.send(Leave())


class Peers:
    """All open connections."""

    def __init__(self) -> None:
        self._all: set[Peer] = set()
        self._left = asyncio.Event()

    def __len__(self) -> int:
        return len(self._all)

    def add(self, peer: Peer) -> None:
        self._all.add(peer)

    def discard(self, peer: Peer) -> None:
        self._all.discard(peer)
        self._left.set()

    async def no_workers(self) -> None:
        """Return once the last worker has gone."""
        while self.workers:
            self._left.clear()
            await self._left.wait()

    @property
    def workers(self) -> list[Peer]:
        return [peer for peer in self._all if peer.is_worker]

    def is_connected(self, slot: int, boot: int) -> bool:
        return any((peer.slot, peer.boot) == (slot, boot) for peer in self._all)

    def tell_workers(self, message: msgspec.Struct) -> None:
        for peer in self.workers:
            peer.send(message)

    def close_all(self) -> None:
        for peer in list(self._all):
            if peer.channel is not None:
                peer.channel.close()

    def described(self) -> list[dict[str, Any]]:
        return [
            {
                "slot": peer.slot,
                "boot": peer.boot,
                "pid": peer.pid,
                "gauges": peer.gauges.values if peer.gauges else b"",
            }
            for peer in sorted(self.workers, key=lambda peer: (peer.slot, peer.boot))
        ]
