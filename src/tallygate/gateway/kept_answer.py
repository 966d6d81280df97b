"""The copy of an answer that is kept for calls which repeat its Idempotency-Key.

Only a call that holds such a key has one; a stream, or an answer that is too large, is not kept,
and a repeated call is told so instead.
"""

from typing import TYPE_CHECKING

from tallygate.gateway.claims import ANSWER_BYTES_MAX
from tallygate.gateway.verdicts import is_given_back

if TYPE_CHECKING:
    from tallygate.gateway.exchange import MeteredExchange


class KeptAnswer:
    """Gathers an answer for as long as it can be repeated."""

    __slots__ = ("_content_type", "_exchange", "_is_repeatable", "_pieces", "_size")

    def __init__(self, exchange: "MeteredExchange") -> None:
        request = exchange.request
        self._exchange = exchange
        self._is_repeatable = request is None or not request.is_stream
        self._content_type = b""
        self._pieces: list[bytes] = []
        self._size = 0

    def began(self, content_type: bytes, encoding: bytes) -> None:
        self._content_type = content_type
        if encoding not in (b"", b"identity"):
            self.drop()  # repeated without that field it could not be read

    def add(self, payload: bytes) -> None:
        self._size += len(payload)
        if self._size > ANSWER_BYTES_MAX:
            self.drop()
        elif self._is_repeatable:
            self._pieces.append(payload)

    def drop(self) -> None:
        self._is_repeatable = False
        self._pieces = []

    def fulfil(self, status: int, *, is_whole: bool) -> None:
        """The call is over: say how it ended, or give its key back if it did not happen."""
        exchange = self._exchange
        claims = exchange.gateway.claims
        if is_given_back(status):
            claims.release(exchange)
        else:
            answer = b"".join(self._pieces) if is_whole and self._is_repeatable else None
            claims.fulfil(exchange, status, self._content_type.decode("latin-1"), answer)
