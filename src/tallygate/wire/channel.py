"""Framed messages over the node's Unix socket: 4 bytes of length, then msgpack of a tagged struct.

Callbacks only, no task or future per message: gateways use it beside their hot path. The other end
is one of our own processes, so a frame that does not decode is a bug of ours and ends the channel.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec

FRAME_BYTES_MAX = 64 << 20
UNSENT_BYTES_MAX = 128 << 20  # a reader that is this far behind is not coming back
_LENGTH_BYTES = 4


class ChannelClosed(Exception):
    """The channel is not open; the message was not sent."""


class ChannelBroken(Exception):
    """The other end sent what no one of ours sends, or stopped reading."""


class Channel(asyncio.Protocol):
    """One end of a connection; the messages it accepts are given as a union of tagged structs."""

    __slots__ = (
        "_buffer",
        "_decode",
        "_encode",
        "_error",
        "_on_closed",
        "_on_message",
        "_on_open",
        "_transport",
        "is_open",
    )

    def __init__(
        self,
        incoming: Any,  # a type or a union of types, which no static type describes
        on_message: Callable[[Any], None],
        on_open: Callable[[], None] | None = None,
        on_closed: Callable[[Exception | None], None] | None = None,
    ) -> None:
        self._decode = msgspec.msgpack.Decoder(incoming).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._on_message = on_message
        self._on_open = on_open
        self._on_closed = on_closed
        self._buffer = b""
        self._error: Exception | None = None
        self._transport: asyncio.Transport | None = None
        self.is_open = False

    def __repr__(self) -> str:
        return f"<Channel {'open' if self.is_open else 'closed'}>"

    def send(self, message: msgspec.Struct) -> None:
        transport = self._transport
        if not self.is_open or transport is None:
            raise ChannelClosed("the channel is closed")
        data = self._encode(message)
        if len(data) > FRAME_BYTES_MAX:
            raise ValueError(f"a message of {len(data)} bytes is larger than a frame may be")
        transport.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
        if transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self._break("the other end stopped reading")

    def close(self) -> None:
        """End the channel once all that was sent has left."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not say so itself
        self.is_open = True
        if self._on_open is not None:
            self._on_open()

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        position, size = 0, len(data)
        while self.is_open and size - position >= _LENGTH_BYTES:
            start = position + _LENGTH_BYTES
            length = int.from_bytes(data[position:start], "big")
            if length > FRAME_BYTES_MAX:
                self._break(f"a frame of {length} bytes")
                return
            end = start + length
            if end > size:
                break
            try:
                message = self._decode(memoryview(data)[start:end])
            except msgspec.MsgspecError as error:
                self._break(f"a message that is none of ours: {error}")
                return
            position = end
            self._on_message(message)
        self._buffer = data[position:] if position else data

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        self._transport = None
        self._buffer = b""
        if self._on_closed is not None:
            self._on_closed(self._error or error)

    def _break(self, what: str) -> None:
        self._error = ChannelBroken(what)
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()
