"""A request on its way to a private service: its connection, and the credential it goes with.

A backend that answers 401 to a credential of a pool is asked again with the next one, if the whole
request is at hand: it has not acted. Where none is left, one that can be renewed is waited for,
once and for some seconds. Otherwise its answer goes on as it is. The keeper hears of either.
"""

from typing import TYPE_CHECKING

from tallygate.gateway.bearers import REST_MS, Bearer
from tallygate.gateway.held_answer import HeldAnswer
from tallygate.gateway.plan import Plan
from tallygate.gateway.route_answer import RoutedAnswer
from tallygate.wire.answer import AnswerHead
from tallygate.wire.front import NEVER, Connection
from tallygate.wire.head import RequestHead
from tallygate.wire.pool import Waiting
from tallygate.wire.upstream import Loss, UpstreamConnection

if TYPE_CHECKING:
    from tallygate.gateway.application import Gateway

UNAUTHORIZED = 401
_REPEATABLE = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))


class ForwardedRequest(RoutedAnswer):
    """Base of an exchange: its request, once it was let through."""

    __slots__ = (
        "_bearer",
        "_body",
        "_has_waited",
        "_held",
        "_is_kept",
        "_is_repeatable",
        "_tried",
        "_waiting",
    )

    def __init__(
        self, gateway: "Gateway", connection: Connection, head: RequestHead, plan: Plan
    ) -> None:
        super().__init__(gateway, connection, head, plan)
        self._body = b""  # with the framing field before it
        self._is_repeatable = head.method in _REPEATABLE and not head.is_websocket
        self._is_kept = True  # its body, to be sent again
        self._waiting: Waiting | None = None
        self._bearer: Bearer | None = None
        self._tried: tuple[Bearer, ...] = ()
        self._held: HeldAnswer | None = None  # a 401, while its credential is renewed
        self._has_waited = False

    def _forward(self) -> None:
        gateway, backend = self.gateway, self.backend
        deadlines = backend.route.deadlines
        if not backend.breaker.is_closed:
            backend.breaker.trial_begins(gateway.now_ms())
        if deadlines.total_ms and self.latest_ms == NEVER:
            self.latest_ms = gateway.swept_ms + deadlines.total_ms
        self._wait(deadlines.connect_ms)
        gateway.running.add(self)
        if backend.bearers and self._bearer is None:
            self._bearer = backend.bearers.choose((), gateway.now_ms())
        self._waiting = backend.pool.ask(
            self,
            b"%b%b\r\nx-request-id: %b\r\n%b"
            % (self._prefix(), self.address.encode(), self.request_id.encode(), self._body),
            self._connected,
            is_head_request=self.head.method == b"HEAD",
        )

    def _prefix(self) -> bytes:
        """Its head, as its backend, or the credential for it, wants it."""
        prefixes, bearer = self.plan.prefixes, self._bearer
        if bearer is not None:
            self.gateway.credential_use.used.add(bearer.id)
        prefix = prefixes.get(bearer or self.backend)
        if prefix is None:
            prefix = self.backend.request_prefix(self.head, bearer)
            prefixes[bearer or self.backend] = prefix
        return prefix

    def _connected(self, connection: UpstreamConnection) -> None:
        self._waiting = None
        self.upstream_connection = connection
        connection.is_request_complete = self._is_body_ended
        if self.head.is_websocket:
            connection.is_upgrade_wanted = True
        if not connection.is_reused:
            self._is_repeatable = False  # a fresh connection that is lost says something
        self._wait(self.backend.route.deadlines.first_byte_ms)
        if self._early is not None:
            self.gateway.schedule(self._send_early)

    def answer_began(self, head: AnswerHead, payload: bytes, *, is_complete: bool) -> None:
        bearer = self._bearer
        if head.status == UNAUTHORIZED and bearer is not None and self._refused(bearer):
            following = self.backend.bearers.choose(self._tried, self.gateway.now_ms())
            if following is None and not self._has_waited:
                following = self.gateway.backends.renewed(self.backend.route, bearer)
            if following is not None:
                self._ask_again(following, is_complete=is_complete)
                return
            if self._may_wait_for(bearer):
                self._hold(bearer, HeldAnswer(head, payload, is_complete=is_complete))
                return
        super().answer_began(head, payload, is_complete=is_complete)

    def _refused(self, bearer: Bearer) -> bool:
        """Whether the backend may be asked once more."""
        gateway = self.gateway
        now_ms = gateway.now_ms()
        gateway.credential_use.refused.add(bearer.id)
        bearer.rests_until_ms = now_ms + REST_MS
        self._tried = (*self._tried, bearer)
        if self.is_client_gone or not self._is_kept or now_ms >= self.latest_ms:
            return False
        return len(self._tried) < gateway.attempts_max

    def _ask_again(self, bearer: Bearer, *, is_complete: bool) -> None:
        upstream, self.upstream_connection = self.upstream_connection, None
        if upstream is not None and not is_complete:
            upstream.abandon()  # a complete answer has left it free for others
        if self.backend.breaker.failures:
            self.backend.breaker.succeeded()
        self._bearer = bearer
        self._forward()

    # --- waiting for a renewal ---

    def _may_wait_for(self, bearer: Bearer) -> bool:
        if self._has_waited or not bearer.is_renewable:
            return False
        return self.gateway.renewals.is_hopeful(bearer.id, self.gateway.now_ms())

    def _hold(self, bearer: Bearer, answer: HeldAnswer) -> None:
        self._has_waited = True
        self._held = answer
        if answer.is_complete:
            self.upstream_connection = None
        self._wait(self.gateway.renewals.wait_ms)
        self.gateway.renewals.wait(bearer.id, bearer.secret, self)

    def renewed(self) -> None:
        assert self._bearer is not None, "it was the one that was refused"
        following = self.gateway.backends.renewed(self.backend.route, self._bearer)
        if following is None:
            return  # elsewhere it was renewed; this route does not use it any more, or not yet
        held = self._let_go_of_held()
        if held is not None:
            self._ask_again(following, is_complete=held.is_over)

    def renewal_failed(self) -> None:
        """The answer that was held back goes on, as if it had just come."""
        held = self._let_go_of_held()
        if held is None:
            return
        super().answer_began(held.head, held.payload, is_complete=held.is_complete)
        if held.loss is not None:
            super().answer_lost(held.loss)

    def _waited_in_vain(self) -> None:
        if self._bearer is not None:
            self.gateway.renewals.was_in_vain(self._bearer.id, self.gateway.now_ms())
        self.renewal_failed()

    def _let_go_of_held(self) -> HeldAnswer | None:
        held, self._held = self._held, None
        if held is not None and self._bearer is not None:
            self.gateway.renewals.leave(self._bearer.id, self)
        return held

    def answer_continued(self, payload: bytes, *, is_complete: bool) -> None:
        held = self._held
        if held is None:
            super().answer_continued(payload, is_complete=is_complete)
            return
        held.add(payload, is_complete=is_complete)
        if is_complete:
            self.upstream_connection = None
        if held.is_too_large:
            self.renewal_failed()

    def request_moved(self) -> None:
        if self._held is None:  # else its time runs already
            super().request_moved()

    # --- what else may happen ---

    def deadline_passed(self) -> None:
        """Of whatever it waits for."""
        raise NotImplementedError

    def answer_lost(self, loss: Loss) -> None:
        if self._held is not None:
            self.upstream_connection = None
            self._held.loss = loss
            return
        is_stale = loss is Loss.CLOSED and self._is_repeatable and not self._status
        if is_stale and not self.is_client_gone:
            # The backend closed an idle connection just as it was used: it has read nothing.
            self._is_repeatable = False
            self.upstream_connection = None
            self._forward()
        else:
            super().answer_lost(loss)
