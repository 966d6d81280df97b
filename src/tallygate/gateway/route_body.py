"""A request's body on its way to a private service: in pieces as it comes, at the backend's pace.

Nothing is gathered beyond a read or two: until there is a connection, and while the backend does
not keep up, the client is not read from.
"""

from typing import TYPE_CHECKING

from tallygate.gateway.framing import chunk
from tallygate.wire.chunked import LAST_CHUNK
from tallygate.wire.front import NEVER, Connection
from tallygate.wire.upstream import UpstreamConnection

if TYPE_CHECKING:
    from tallygate.gateway.application import Gateway


class StreamedBody:
    """Base of an exchange: its request's body, and the two connections that it passes between."""

    __slots__ = (
        "_early",
        "_is_body_chunked",
        "_is_body_ended",
        "_is_tunnel",
        "bytes_in",
        "connection",
        "gateway",
        "upstream_connection",
    )

    def __init__(self, gateway: "Gateway", connection: Connection) -> None:
        self.gateway = gateway
        self.connection = connection
        self.upstream_connection: UpstreamConnection | None = None
        self.bytes_in = 0
        self._early: list[bytes] | None = None  # body that came before there was a connection
        self._is_body_chunked = False
        self._is_body_ended = True
        self._is_tunnel = False

    def body_received(self, data: bytes) -> None:
        self.bytes_in += len(data)
        self._send_body(chunk(data) if self._is_body_chunked else data)
        if self._is_tunnel:
            self.connection.deadline_ms = NEVER  # the silence of both ends is measured together

    def body_ended(self) -> None:
        self._is_body_ended = True
        if self._is_body_chunked:
            self._send_body(LAST_CHUNK)
        elif self.upstream_connection is not None and self._early is None:
            self.upstream_connection.is_request_complete = True

    def _send_body(self, data: bytes) -> None:
        upstream = self.upstream_connection
        if upstream is None or self._early is not None:
            if self._early is None:
                self._early = []
            self._early.append(data)
            self.connection.pause_body()
        else:
            upstream.send_more(data)
            upstream.is_request_complete = self._is_body_ended
            self.request_moved()

    def _send_early(self) -> None:
        """After the head, which is sent when the exchange has heard of its connection."""
        early, self._early = self._early, None
        upstream = self.upstream_connection
        if upstream is not None and early is not None:
            upstream.send_more(b"".join(early))
            upstream.is_request_complete = self._is_body_ended
            self.connection.resume_body()

    def request_moved(self) -> None:
        """The request is getting on: its answer may take as long as it may from here."""
        raise NotImplementedError

    def upstream_slow(self) -> None:
        self.connection.pause_body()

    def upstream_ready(self) -> None:
        self.connection.resume_body()
        if self._is_tunnel:
            self.connection.deadline_ms = NEVER
        self.request_moved()
