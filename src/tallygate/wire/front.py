"""What a worker's client connections share, and what they and the application call each other."""

from typing import Protocol

from tallygate.core.errors import Refusal
from tallygate.wire.head import HeadMemory, RequestHead

NEVER = 1 << 62


class Handler(Protocol):
    """Whoever answers a request, told what happens to its connection meanwhile."""

    def body_received(self, data: bytes) -> None:
        """A piece of a streamed request body."""

    def body_ended(self) -> None:
        """The streamed request body is complete."""

    def client_gone(self) -> None:
        """Nobody reads the answer any more."""

    def client_slow(self) -> None:
        """The client does not keep up: stop producing."""

    def client_ready(self) -> None:
        """The client has caught up."""


class Application(Protocol):
    """Decides at each head what to do with the request."""

    def begin(self, connection: "Connection", head: RequestHead, length: int) -> int | None:
        """The head of a request whose body is still to come (`length` -1: chunked).

        Answers how many bytes of body to gather before `respond` (Refusal when that is too much),
        or None after having set `connection.handler` to stream the body to.
        """

    def respond(self, connection: "Connection", head: RequestHead, body: bytes) -> None:
        """A whole request; must set `connection.handler` unless it answers at once."""

    def refuse(self, connection: "Connection", head: RequestHead | None, no: Refusal) -> None:
        """Answer a request that cannot be served."""


class Connection(Protocol):
    """What an application may do with the connection of a request."""

    handler: Handler | None
    deadline_ms: int
    peer: str

    @property
    def is_slow(self) -> bool:
        """More is waiting to be sent to the client than it should be."""

    def write(self, data: bytes) -> None:
        """Send a piece of the answer; nothing happens when the client is gone."""

    def finish(self) -> None:
        """The answer is complete."""

    def end_with_answer(self) -> None:
        """The end of the connection is the only end that the answer at hand has."""

    def break_off(self) -> None:
        """What was written goes out, but the answer stays incomplete, and the client sees that."""

    def abort(self) -> None:
        """The answer cannot be completed: the client must notice."""

    def pause_body(self) -> None: ...

    def resume_body(self) -> None: ...

    def open_tunnel(self) -> bytes:
        """Pass all that still comes to the handler as it is; answers what has come already."""

    def will_close(self) -> bool:
        """The connection ends with this answer, so the answer should say so."""

    # For the front itself.
    def deadline_passed(self) -> None: ...

    def close_if_idle(self) -> None: ...

    def room_returned(self) -> None: ...


class Front:
    """What all connections of one worker share."""

    __slots__ = (
        "accepted",
        "application",
        "body_timeout_ms",
        "buffered_bytes",
        "buffered_bytes_max",
        "connections",
        "connections_max",
        "half_closed_timeout_ms",
        "head_bytes_max",
        "head_timeout_ms",
        "heads",
        "idle_timeout_ms",
        "is_draining",
        "now_ms",
        "starved",
        "write_timeout_ms",
    )

    def __init__(self, application: Application) -> None:
        self.application = application
        self.accepted = 0
        self.heads = HeadMemory()
        self.connections: set[Connection] = set()
        self.connections_max = 10_000
        self.head_bytes_max = 65_536
        self.buffered_bytes = 0
        self.starved: list[Connection] = []  # paused until others' bodies have gone
        self.buffered_bytes_max = 128 << 20
        self.head_timeout_ms = 20_000
        self.body_timeout_ms = 60_000
        self.idle_timeout_ms = 75_000
        self.write_timeout_ms = 60_000
        self.half_closed_timeout_ms = 30_000
        self.is_draining = False
        self.now_ms = 0  # monotonic; moved by the sweep, exact enough for deadlines

    def buffered(self, change: int) -> None:
        """Account for gathered bodies; those that wait for room go on when there is some."""
        self.buffered_bytes += change
        if self.starved and self.buffered_bytes < self.buffered_bytes_max:
            starved, self.starved = self.starved, []
            for connection in starved:
                connection.room_returned()

    def sweep(self, now_ms: int) -> None:
        """Four times a second: end what is past its deadline."""
        self.now_ms = now_ms
        for connection in [c for c in self.connections if c.deadline_ms <= now_ms]:
            connection.deadline_passed()

    def drain(self) -> None:
        """Finish what runs, close what is idle, and nothing after that."""
        self.is_draining = True
        for connection in list(self.connections):
            connection.close_if_idle()
