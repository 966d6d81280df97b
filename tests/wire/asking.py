"""An asker that notes what it is told, and an upstream's end of a connection that a test speaks."""

from collections.abc import Callable

from tallygate.wire.answer import AnswerHead
from tallygate.wire.upstream import Loss, UpstreamConnection
from tests.wire.conversation import Wire


class Asking:
    """Whoever waits for an answer."""

    def __init__(self) -> None:
        self.heads: list[AnswerHead] = []
        self.payload = b""
        self.is_complete = False
        self.loss: Loss | None = None
        self.told: list[str] = []
        self.on_complete: Callable[[], None] = lambda: None

    def answer_began(self, head: AnswerHead, payload: bytes, *, is_complete: bool) -> None:
        assert not self.heads, "an answer begins once"
        self.heads.append(head)
        self._take(payload, is_complete=is_complete)

    def answer_continued(self, payload: bytes, *, is_complete: bool) -> None:
        assert self.heads, "an answer begins before it goes on"
        self._take(payload, is_complete=is_complete)

    def answer_lost(self, loss: Loss) -> None:
        assert not self.is_over, "an answer ends once"
        self.loss = loss

    def upstream_slow(self) -> None:
        self.told.append("slow")

    def upstream_ready(self) -> None:
        self.told.append("ready")

    def _take(self, payload: bytes, *, is_complete: bool) -> None:
        assert not self.is_over, "nothing comes after the end"
        self.payload += payload
        self.is_complete = is_complete
        if is_complete:
            self.on_complete()

    @property
    def is_over(self) -> bool:
        return self.is_complete or self.loss is not None

    @property
    def status(self) -> int:
        return self.heads[0].status if self.heads else 0


class Upstream:
    """One connection to an upstream; what the pool is told of it is noted."""

    def __init__(self) -> None:
        self.freed: list[int] = []
        self.lost_count = 0
        self.connection = UpstreamConnection(self._free, self._lose)
        self.wire = Wire(self.connection)
        self.connection.connection_made(self.wire)
        self._read = 0

    def _free(self, connection: UpstreamConnection, idle_s: int) -> None:
        assert connection is self.connection
        assert connection.is_usable
        self.freed.append(idle_s)

    def _lose(self, connection: UpstreamConnection) -> None:
        assert connection is self.connection
        self.lost_count += 1

    def is_asked(self, data: bytes = b"GET", *, is_head_request: bool = False) -> Asking:
        asking = Asking()
        self.connection.send(asking, data, is_head_request=is_head_request)
        return asking

    def says(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.wire.carry(piece)

    def closes(self) -> None:
        self.wire.end()

    def breaks(self) -> None:
        self.wire.lose(ConnectionResetError())

    def reads(self) -> bytes:
        start, self._read = self._read, len(self.wire.sent)
        return bytes(self.wire.sent[start:])

    @property
    def is_pooled(self) -> bool:
        return bool(self.freed) and self.connection.is_usable and not self.wire.is_closing_down
