"""The body of a request that did not come whole: its framing, and what has been gathered of it."""

from tallygate.wire.chunked import ChunkedReader


class RequestBody:
    """Takes raw bytes and gives payload until it is complete; `surplus` is of what follows."""

    __slots__ = (
        "_chunks",
        "_gathered",
        "_length",
        "accounted",
        "gather_max",
        "is_complete",
        "received",
        "surplus",
    )

    def __init__(self, length: int) -> None:
        """`length` -1: chunked."""
        self._chunks = ChunkedReader() if length < 0 else None
        self._length = length
        self._gathered = bytearray()  # not a list of pieces: those may be of one byte each
        self.gather_max: int | None = 0  # None: streamed to a handler
        self.received = 0
        self.accounted = 0  # of the worker's buffers, until the request has ended
        self.is_complete = False
        self.surplus = b""

    def __repr__(self) -> str:
        return f"<RequestBody {self.received} of {self._length} complete={self.is_complete}>"

    @property
    def is_too_large(self) -> bool:
        """More than may be gathered has come, or is announced."""
        return self.gather_max is not None and max(self._length, self.received) > self.gather_max

    def feed(self, data: bytes) -> bytes:
        """The payload in `data`; BadChunk if its framing is broken."""
        if self._chunks is not None:
            data = self._chunks.feed(data)
            self.is_complete = self._chunks.is_done
            self.surplus = self._chunks.surplus
        else:
            missing = self._length - self.received
            if len(data) > missing:
                data, self.surplus = data[:missing], data[missing:]
            self.is_complete = len(data) == missing
        self.received += len(data)
        return data

    def gather(self, payload: bytes) -> None:
        self._gathered += payload
        self.accounted += len(payload)

    def take(self) -> bytes:
        """All that was gathered. It stays accounted for: whoever takes it keeps it for retries."""
        gathered = bytes(self._gathered)
        self._gathered = bytearray()
        return gathered
