"""Talking to the clerk: what a lease refill costs its worker in encoding and decoding."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from tallygate.core.ports import Answer, Ask, FromClerk, LookUp, Sync, Synced
from tallygate.wire.channel import Channel


class Sink(asyncio.Transport):
    """A transport that takes everything and sends nothing."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


def frame(message: msgspec.Struct) -> bytes:
    payload = msgspec.msgpack.encode(message)
    return len(payload).to_bytes(4, "big") + payload


@contextmanager
def cases() -> Iterator[dict[str, Callable[[], object]]]:
    channel = Channel(FromClerk, lambda _: None)
    channel.connection_made(Sink())
    asks = [Ask(number, 1_732_147_200, number, 1, 5_000, 100) for number in (11, 12, 13)]
    sync = Sync(7, asks)
    look_up = LookUp(8, bytes(32))
    answers = [Answer(number, 1, 10_000, False, False, 10_000) for number in (11, 12, 13)]
    synced = frame(Synced(7, True, answers))
    yield {
        "send a sync of three leases": lambda: channel.send(sync),
        "send a key look-up": lambda: channel.send(look_up),
        "receive three leases": lambda: channel.data_received(synced),
    }
