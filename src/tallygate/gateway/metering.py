"""Which meter reads an answer; answers that are encoded although we asked for identity."""

import zlib
from typing import TYPE_CHECKING

from tallygate.core.meters import Meter, meter_for
from tallygate.core.usage import Source, Usage
from tallygate.wire.answer import AnswerHead

if TYPE_CHECKING:
    from tallygate.gateway.exchange import MeteredExchange

DECODED_BYTES_MAX = 16 << 20
_EVENT_STREAM = b"text/event-stream"


class Unmetered:
    """An answer whose tokens nobody counts: an error, or a call that is only counted."""

    def __init__(self) -> None:
        self.is_terminal = False
        self.model: str | None = None
        self.saw_error = False

    def feed(self, data: bytes) -> bytes:
        return data

    def take_held(self) -> bytes:
        return b""

    def finish(self) -> None: ...

    def usage(self) -> Usage:
        return Usage({}, Source.MISSING)


class Decoding:
    """Meters a decoded copy, bounded; the client gets the bytes as they came."""

    __slots__ = ("_decoder", "_left", "_meter", "is_terminal", "model", "saw_error")

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._decoder = zlib.decompressobj(wbits=47)  # gzip or zlib, as its header says
        self._left = DECODED_BYTES_MAX
        self.is_terminal = False  # where in the encoded bytes it was cannot be told
        self.model: str | None = None
        self.saw_error = False

    def feed(self, data: bytes) -> bytes:
        if self._left > 0:
            try:
                copy = self._decoder.decompress(data, self._left)
            except zlib.error:
                self._left = 0
            else:
                self._left -= len(copy)
                self._meter.feed(copy)
        return data

    def take_held(self) -> bytes:
        return b""

    def finish(self) -> None:
        self._meter.finish()
        self.model = self._meter.model
        self.saw_error = self._meter.saw_error

    def usage(self) -> Usage:
        return self._meter.usage()


_UNMETERED = Unmetered()


def meter_of_answer(exchange: "MeteredExchange", head: AnswerHead) -> Meter:
    request, dialect = exchange.request, exchange.plan.dialect
    if request is None or dialect is None or not 200 <= head.status < 300:
        return _UNMETERED
    is_encoded = head.encoding not in (b"", b"identity")
    meter = meter_for(
        dialect,
        is_stream=head.content_type.startswith(_EVENT_STREAM),
        strips_usage_chunk=request.is_stream and not request.wants_usage_chunk and not is_encoded,
        input_tokens_estimate=request.input_tokens_estimate,
    )
    if exchange.dify is not None:
        exchange.dify.answer = meter
    return Decoding(meter) if is_encoded else meter
