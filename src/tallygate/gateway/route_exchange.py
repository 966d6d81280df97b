"""One request to a private service until its answer begins: identify → admit → forward.

The way was found when the head was read (plan.py). A refused request leaves nothing behind and
never reaches the backend; a body that is still to come is refused before it is asked for.
"""

from typing import TYPE_CHECKING

from tallygate.core.entry import Outcome
from tallygate.core.errors import Code, Refusal
from tallygate.core.keys import Kind
from tallygate.core.routes import may_use
from tallygate.gateway.admit import OverLimit, admit, over_limit_refusal, settle
from tallygate.gateway.identify import check_key
from tallygate.gateway.known_keys import KnownKey
from tallygate.gateway.lease import Lease
from tallygate.gateway.plan import Plan, unknown_key
from tallygate.gateway.route_forward import ForwardedRequest
from tallygate.wire.front import Connection
from tallygate.wire.head import RequestHead
from tallygate.wire.upstream import Loss

if TYPE_CHECKING:
    from tallygate.gateway.application import Gateway

STORE_WAIT_MS = 5_000
_STORE_GONE = Refusal(Code.STORE_UNAVAILABLE, "The store does not answer; try again shortly.")
_RESTING = Refusal(
    Code.UPSTREAM_UNREACHABLE, "The service has failed several times in a row; try again shortly."
)

_NO_CREDENTIAL = Refusal(
    Code.UPSTREAM_REFUSED, "No credential for the service lives; tell its operator."
)


class RouteExchange(ForwardedRequest):
    """A request to a route."""

    __slots__ = ("_is_seeking",)

    def __init__(
        self, gateway: "Gateway", connection: Connection, head: RequestHead, plan: Plan
    ) -> None:
        super().__init__(gateway, connection, head, plan)
        self._is_seeking = False

    def __repr__(self) -> str:
        return f"<RouteExchange {self.request_id} {self.plan.route}>"

    def start(self, body: bytes) -> None:
        """A whole request has come."""
        self.connection.handler = self
        if body or self.head.has_length:
            self.bytes_in = len(body)
            self._body = b"content-length: %d\r\n\r\n%b" % (len(body), body)
        else:
            self._body = b"\r\n"
        try:
            known = self._find_key()
        except Refusal as refusal:
            self.refuse(refusal)
            return
        if known is None:
            self._seek_key()
        else:
            self._admit(known, None)

    def start_streaming(self, length: int) -> None:
        """The body is still to come, `length` -1: chunked. Refusal: it is not wanted."""
        self._is_body_ended = False
        self._is_repeatable = self._is_kept = False
        self._is_body_chunked = length < 0
        self._body = b"content-length: %d\r\n\r\n" % length
        if self._is_body_chunked:
            self._body = b"transfer-encoding: chunked\r\n\r\n"
        known = self._find_key()
        self.connection.handler = self
        # Not before the wire has heard what becomes of the body.
        self.gateway.schedule(self._seek_key if known is None else self._go_on)

    def _go_on(self) -> None:
        if self.is_over:
            return
        if self.known is None or not self.known.is_current:
            self._seek_key()
        else:
            self._admit(self.known, None)

    # --- identify ---

    def _find_key(self) -> KnownKey | None:
        """The key, if it is known and may be used here; None: ask the clerk. Refusal: neither."""
        gateway, plan = self.gateway, self.plan
        if gateway.closed is not None:
            raise gateway.closed
        known = plan.known
        if known is None or not known.is_current:
            if plan.no_key is not None:
                raise plan.no_key
            known = gateway.keys.find(plan.key_hash)
            if known is None:
                if gateway.keys.is_unknown(plan.key_hash, gateway.now_ms()):
                    raise unknown_key(plan.masked_key)
                return None
            plan.known = known
        self._check(known)
        return known

    def _check(self, known: KnownKey) -> None:
        """Refusal when this token may not go here."""
        gateway, route = self.gateway, self.backend.route
        self.known = known
        self.address = gateway.address_of(self.connection, self.plan)
        check_key(known, self.address, gateway.wall_ms())
        if known.key.kind != Kind.TOKEN:
            raise Refusal(Code.FORBIDDEN, "This is a key for models; services take tokens.")
        if not may_use(route, known.key.scopes):
            raise Refusal(Code.FORBIDDEN, f"This token lacks the scope {route.scope!r}.")
        if route.methods and self.head.method.decode() not in route.methods:
            allow = ", ".join(route.methods)
            raise Refusal(Code.METHOD_NOT_ALLOWED, f"Send one of {allow} here.", allow=allow)
        if self.backend.breaker.open_until_ms and not self.backend.breaker.admits(gateway.now_ms()):
            raise _RESTING
        if route.credentials is not None and not self.backend.bearers:
            raise _NO_CREDENTIAL

    def _seek_key(self) -> None:
        if self.is_over:
            return
        self._wait_for_store()
        self._is_seeking = True
        if not self.gateway.keys.seek(self.plan.key_hash, self):
            self.store_gone()

    def key_found(self, known: KnownKey | None, *, is_store_available: bool) -> None:
        if not self._is_seeking or self.is_over:
            return
        self._is_seeking = False
        if known is None:
            unknown = unknown_key(self.plan.masked_key)
            self.refuse(unknown if is_store_available else _STORE_GONE)
            return
        self.plan.known = known
        try:
            self._check(known)
        except Refusal as refusal:
            self.refuse(refusal)
            return
        self._admit(known, None)

    # --- admit ---

    def _admit(self, known: KnownKey, concluded: Lease | None) -> None:
        gateway = self.gateway
        wall_ms = gateway.wall_ms()
        allowed = gateway.shares.allowed(self, known, self.backend.route, wall_ms)
        if allowed is None:
            self._wait_for_store()
            return
        try:
            taken = admit(gateway.book, self, allowed, 1, wall_ms, concluded)
        except OverLimit as over:
            refusal, wait_s, fields = over_limit_refusal(over, wall_ms)
            self.refuse(refusal, retry_after_s=wait_s, fields=fields)
            return
        if taken is None:
            self._wait_for_store()
            return
        self.taken = taken
        self.admitted_ms = wall_ms
        self._forward()

    def units_answered(self, concluded: Lease | None) -> None:
        if self.is_over or self.known is None:
            return
        if self.known.is_current:
            self._admit(self.known, concluded)
        else:
            self._seek_key()  # it was changed, or revoked, while this request waited

    def share_found(self) -> None:
        self.units_answered(None)

    def store_gone(self) -> None:
        if not self.is_over:
            self.refuse(_STORE_GONE, retry_after_s=1)

    @property
    def is_over(self) -> bool:
        """Refused, or its client went away, while it waited."""
        return self.is_client_gone or self.connection.handler is not self

    # --- what may happen meanwhile ---

    def _wait_for_store(self) -> None:
        """However many waits follow one another, they share one deadline."""
        if not self.deadline_ms and not self.is_over:
            self.deadline_ms = self.gateway.now_ms() + STORE_WAIT_MS
            self.gateway.running.add(self)

    def deadline_passed(self) -> None:
        if not self.admitted_ms:
            self.store_gone()
            return
        if self._held is not None:
            self._waited_in_vain()
            return
        loss = Loss.TIMED_OUT if self._waiting is None else Loss.UNREACHABLE
        self._let_go()
        super().answer_lost(loss)

    def client_gone(self) -> None:
        self.is_client_gone = True
        self._is_seeking = False
        if not self.admitted_ms or self._is_recorded:
            if not self._is_recorded:
                self.gateway.running.discard(self)
            return
        if self._waiting is not None:  # nothing was sent: nothing has happened
            self._let_go()
            settle(self.taken, is_counted=False, tokens=0)
            self.gateway.running.discard(self)
            return
        self._let_go()
        self._is_answer_over = True
        self._record(b"", Outcome.OK if self._is_tunnel else Outcome.CLIENT_GONE)

    def _let_go(self) -> None:
        self._let_go_of_held()
        if self._waiting is not None:
            self.backend.pool.cancel(self._waiting)
            self._waiting = None
        upstream, self.upstream_connection = self.upstream_connection, None
        if upstream is None:
            return
        if self._is_tunnel:
            upstream.hang_up()  # what the client said last goes out
        else:
            upstream.abandon()

    def refuse(
        self, refusal: Refusal, *, retry_after_s: int | None = None, fields: bytes = b""
    ) -> None:
        """Say no; nothing has been taken."""
        assert not self.taken, "a request that was let through is not refused any more"
        gateway = self.gateway
        gateway.counters.refused(refusal.code)
        gateway.running.discard(self)
        if refusal is _RESTING:
            retry_after_s = 1
        self.connection.write(self._refusal(refusal, retry_after_s=retry_after_s, fields=fields))
        self.connection.finish()
