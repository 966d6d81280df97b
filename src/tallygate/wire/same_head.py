"""What one connection's last head was: most clients send it again, with another length.

To see that it is the same takes two comparisons. Finding it among all heads (`HeadMemory`) takes a
search, a copy and a hash.
"""

from tallygate.wire.head import LENGTH_DIGITS_MAX, MEMORY_BYTES_MAX, HeadMemory, RequestHead


class SameHead:
    """Reads the heads of one connection."""

    __slots__ = ("_after", "_before", "_head", "_memory")

    def __init__(self, memory: HeadMemory) -> None:
        self._memory = memory
        self._head: RequestHead | None = None
        self._before = b""  # the digits of its Content-Length
        self._after = b""

    def read(self, data: bytes, end: int) -> tuple[RequestHead, int]:
        """The head that `data` begins with, up to `end`, and its Content-Length (0 if none)."""
        head, after = self._head, self._after
        if head is not None and data.startswith(self._before) and data.endswith(after, 0, end):
            digits = data[len(self._before) : end - len(after)]
            if digits.isdigit() and len(digits) <= LENGTH_DIGITS_MAX:
                return head, int(digits)
        raw = data[:end]
        head, length, at, after_at = self._memory.read(raw)
        if at and end <= MEMORY_BYTES_MAX:
            self._head, self._before, self._after = head, raw[:at], raw[after_at:]
        return head, length
