"""An answer that its client may yet get, kept whole while something better is waited for."""

from tallygate.wire.answer import AnswerHead
from tallygate.wire.upstream import Loss

HELD_BYTES_MAX = 64 << 10


class HeldAnswer:
    """What came of it so far. `loss`: its connection broke in the middle."""

    __slots__ = ("_payload", "head", "is_complete", "loss")

    def __init__(self, head: AnswerHead, payload: bytes, *, is_complete: bool) -> None:
        self.head = head
        self._payload = bytearray(payload)
        self.is_complete = is_complete
        self.loss: Loss | None = None

    def __repr__(self) -> str:
        return f"<HeldAnswer {self.head.status} {len(self._payload)}>"

    @property
    def payload(self) -> bytes:
        return bytes(self._payload)

    @property
    def is_too_large(self) -> bool:
        return len(self._payload) > HELD_BYTES_MAX

    @property
    def is_over(self) -> bool:
        """Nothing more of it comes, so its connection is nobody's to end."""
        return self.is_complete or self.loss is not None

    def add(self, payload: bytes, *, is_complete: bool) -> None:
        self._payload += payload
        self.is_complete = is_complete
