"""Channels carry whole messages over any split of bytes, and end at the first thing amiss."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from tallygate.core.commands import Settle
from tallygate.core.errors import Code, Refusal, StoreUnavailable
from tallygate.core.ports import Actor, Command, FromWorker, Hello, LookUp, Result
from tallygate.wire.caller import Caller
from tallygate.wire.channel import FRAME_BYTES_MAX, Channel, ChannelClosed

pytestmark = pytest.mark.anyio
ACTOR = Actor("test", "", "req-1")


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_ended = False
        self.unsent = 0

    def write(self, data: bytes) -> None:  # type: ignore[override]  # bytes are enough here
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def close(self) -> None:
        self.is_ended = True

    abort = close


def connected(incoming: object = FromWorker) -> tuple[Channel, Wire, list[object], list[object]]:
    got: list[object] = []
    ends: list[object] = []
    channel, wire = Channel(incoming, got.append, on_closed=ends.append), Wire()
    channel.connection_made(wire)
    return channel, wire, got, ends


MESSAGES = [Hello(1, 2, 3), LookUp(7, b"\x00" * 32), Hello(4, 5, 6)]


def encoded() -> bytes:
    channel, wire, _, _ = connected()
    for message in MESSAGES:
        channel.send(message)
    return bytes(wire.written)


async def test_messages_arrive_whole_whatever_the_split():
    """Every cut of the stream into two, and byte by byte."""
    data = encoded()
    pieces = [[data[:cut], data[cut:]] for cut in range(len(data) + 1)]
    pieces.append([data[place : place + 1] for place in range(len(data))])
    for parts in pieces:
        channel, _, got, _ = connected()
        for part in parts:
            channel.data_received(part)
        assert got == MESSAGES


@pytest.mark.parametrize(
    "data",
    [
        (FRAME_BYTES_MAX + 1).to_bytes(4, "big"),
        b"\x00\x00\x00\x01\xc1",
        b"\x00\x00\x00\x03" + msgspec.msgpack.encode(["x"]),
    ],
)
async def test_what_is_no_message_ends_the_channel(data: bytes):
    channel, wire, got, ends = connected()
    channel.data_received(data)
    assert wire.is_ended and not channel.is_open and got == []
    channel.connection_lost(None)
    assert "ChannelBroken" in repr(ends[0])


async def test_sending_on_a_closed_channel_says_so():
    """A message is never dropped silently: its sender decides what that means."""
    channel, _, _, _ = connected()
    channel.close()
    with pytest.raises(ChannelClosed):
        channel.send(Hello(1, 2, 3))
    with pytest.raises(ChannelClosed):
        Channel(FromWorker, print).send(Hello(1, 2, 3))


async def test_a_reader_that_stopped_reading_is_cut_off():
    """Nothing is buffered without bound."""
    channel, wire, _, _ = connected()
    wire.unsent = 1 << 40
    channel.send(Hello(1, 2, 3))
    assert wire.is_ended and not channel.is_open


async def test_no_message_is_given_after_the_channel_was_closed():
    """A handler that closes in the middle of a read is not called again."""
    channel, _, got, _ = connected()
    channel._on_message = lambda message: (got.append(message), channel.close())
    channel.data_received(encoded())
    assert got == MESSAGES[:1]


async def serve(path: Path, answer: object) -> asyncio.Server:
    """A clerk of which only the answers matter."""

    def make() -> Channel:
        channel = Channel(FromWorker, lambda command: answer(channel, command))  # type: ignore[operator]  # any function will do
        return channel

    return await asyncio.get_running_loop().create_unix_server(make, str(path))


async def test_a_command_returns_its_value(tmp_path: Path):
    def answer(channel: Channel, command: Command) -> None:
        assert (command.name, command.actor) == ("settle", ACTOR)
        channel.send(Result(command.id, "", "", msgspec.msgpack.encode({"stale": []})))

    async with await serve(tmp_path / "s", answer), Caller(tmp_path / "s") as caller:
        results = await asyncio.gather(*(caller.command(Settle(), ACTOR) for _ in range(5)))
        assert results == [{"stale": []}] * 5
        assert await caller.command(Settle(), ACTOR, into=dict[str, list[str]]) == {"stale": []}


async def test_a_refused_command_raises_what_the_clerk_said(tmp_path: Path):
    codes = iter([Code.NOT_FOUND, Code.STORE_UNAVAILABLE])

    def answer(channel: Channel, command: Command) -> None:
        channel.send(Result(command.id, next(codes).value, "no such key", b""))

    async with await serve(tmp_path / "s", answer), Caller(tmp_path / "s") as caller:
        with pytest.raises(Refusal, match="no such key") as refused:
            await caller.command(Settle(), ACTOR)
        assert refused.value.code is Code.NOT_FOUND
        with pytest.raises(StoreUnavailable):
            await caller.command(Settle(), ACTOR)


async def test_a_clerk_that_goes_away_leaves_nobody_waiting(tmp_path: Path):
    async with (
        await serve(tmp_path / "s", lambda channel, _: channel.close()),
        Caller(tmp_path / "s") as caller,
    ):
        with pytest.raises(StoreUnavailable, match="went away"):
            await caller.command(Settle(), ACTOR)


async def test_no_clerk_is_one_clear_error(tmp_path: Path):
    with pytest.raises(StoreUnavailable, match="not running"):
        await Caller(tmp_path / "none", patience_s=0).command(Settle(), ACTOR)


async def test_a_clerk_that_never_answers_meets_the_deadline(tmp_path: Path):
    async with (
        await serve(tmp_path / "s", lambda *_: None),
        Caller(tmp_path / "s", deadline_s=0.01) as caller,
    ):
        with pytest.raises(StoreUnavailable, match="in time"):
            await caller.command(Settle(), ACTOR)
