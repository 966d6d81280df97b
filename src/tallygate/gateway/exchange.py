"""One metered request until its answer begins: identify → route → admit → forward.

Each step decides at once or waits for one thing (a look-up, units, an upstream); what it waits for
calls back. From the first byte of an answer on, the request is a `Relay`'s (relay.py). A request
ends here only by a refusal, and a refused request leaves nothing behind.
"""

from typing import TYPE_CHECKING

from tallygate.core.entry import Attempt
from tallygate.core.errors import Code, Refusal
from tallygate.core.provider import Deadlines
from tallygate.core.request import MeteredRequest
from tallygate.core.tariff import Tariff
from tallygate.gateway import forward, route
from tallygate.gateway.admit import OverLimit, admit, over_limit_refusal
from tallygate.gateway.answers import refusal_answer
from tallygate.gateway.bill import Bill
from tallygate.gateway.dify_call import DifyCall
from tallygate.gateway.gathered import Gathered
from tallygate.gateway.identify import check_key
from tallygate.gateway.known_keys import KnownKey
from tallygate.gateway.lease import Lease, Taken
from tallygate.gateway.plan import Plan, unknown_key
from tallygate.gateway.relay import Relay
from tallygate.gateway.renewal import Renewal
from tallygate.gateway.upstreams import Upstream
from tallygate.gateway.verdicts import is_given_back
from tallygate.wire.answer import AnswerHead
from tallygate.wire.front import Connection
from tallygate.wire.head import RequestHead
from tallygate.wire.pool import Waiting
from tallygate.wire.upstream import Loss, UpstreamConnection

if TYPE_CHECKING:
    from tallygate.gateway.application import Gateway

STORE_WAIT_MS = 5_000


class MeteredExchange(Gathered):
    """A request to a metered endpoint."""

    __slots__ = (
        "_is_seeking",
        "address",
        "admitted_ms",
        "attempt_began_ms",
        "attempts",
        "bill",
        "body",
        "candidates",
        "connection",
        "deadline_ms",
        "deadlines",
        "dify",
        "gateway",
        "head",
        "is_claimed",
        "is_client_gone",
        "is_given_up_first",
        "known",
        "micros_at_most",
        "model",
        "plan",
        "renewal",
        "request",
        "request_id",
        "taken",
        "tariff",
        "tokens_at_most",
        "total_deadline_ms",
        "tried",
        "upstream",
        "upstream_connection",
        "waiting",
    )
    # Of the attempt that runs, or ran last; none before the first.
    attempt_began_ms: int
    deadlines: Deadlines
    upstream: Upstream

    def __init__(
        self, gateway: "Gateway", connection: Connection, head: RequestHead, plan: Plan, body: bytes
    ) -> None:
        self.gateway = gateway
        self.connection = connection
        self.head = head
        self.plan = plan
        self.body = body
        self.request_id = gateway.next_request_id()
        self.known: KnownKey | None = None
        self.request: MeteredRequest | None = None
        self.dify: DifyCall | None = None
        self.model = ""
        self.address = ""  # whence it comes, as far as our proxies can be believed
        self.taken: list[Taken] = []
        self.attempts: list[Attempt] | None = None  # only once one has failed
        self.admitted_ms = 0
        self.deadline_ms = 0
        self.total_deadline_ms = 0
        self.is_client_gone = False
        self.is_claimed = False  # it holds its Idempotency-Key
        self.upstream_connection: UpstreamConnection | None = None
        self.candidates: route.Candidates = ()
        self.tried: tuple[str, ...] = ()
        self.waiting: Waiting | None = None
        self.is_given_up_first = False  # by us, before the provider would be late
        self._is_seeking = False
        self.tokens_at_most = 0
        self.tariff: Tariff | None = None  # None: nothing counts what it costs
        self.micros_at_most = 0
        self.bill: Bill | None = None
        self.renewal: Renewal | None = None  # of a credential, which it waits for, or has waited

    def __repr__(self) -> str:
        return f"<MeteredExchange {self.request_id} {self.plan.route}>"

    def start(self) -> None:
        """A whole request has come."""
        gateway, plan = self.gateway, self.plan
        self.connection.handler = self
        if gateway.closed is not None:
            self.refuse(gateway.closed)
            return
        known = plan.known
        if known is None or not known.is_current:
            known = gateway.keys.find(plan.key_hash)
            if known is None:
                self._seek_key()
                return
            plan.known = known
        self._identified(known)

    # --- identify ---

    def _seek_key(self) -> None:
        gateway, plan = self.gateway, self.plan
        self.tariff = None  # what the key was before decides nothing
        if plan.no_key is not None:
            self.refuse(plan.no_key)
        elif gateway.keys.is_unknown(plan.key_hash, gateway.now_ms()):
            self.refuse(unknown_key(plan.masked_key))
        else:
            self.wait_for_store()
            self._is_seeking = True
            if not gateway.keys.seek(plan.key_hash, self):
                self.store_gone()

    def key_found(self, known: KnownKey | None, *, is_store_available: bool) -> None:
        if not self._is_seeking or self.is_over:
            return  # refused meanwhile, or the client went away
        self._is_seeking = False
        if known is not None:
            self.plan.known = known
            self._identified(known)
        elif is_store_available:
            self.refuse(unknown_key(self.plan.masked_key))
        else:
            self.store_gone()

    def _identified(self, known: KnownKey) -> None:
        gateway, plan = self.gateway, self.plan
        self.known = known
        self.address = gateway.address_of(self.connection, plan)
        wall_ms = gateway.wall_ms()
        try:
            check_key(known, self.address, wall_ms)
            route.find_way(self, known, wall_ms)
        except Refusal as refusal:
            self.refuse(refusal)
            return
        if plan.idempotency_key:
            gateway.claims.claim(self)
        else:
            self._admit(known, None, wall_ms)

    # --- admit ---

    def admit(self, concluded: Lease | None) -> None:
        assert self.known is not None
        self._admit(self.known, concluded, self.gateway.wall_ms())

    def _admit(self, known: KnownKey, concluded: Lease | None, wall_ms: int) -> None:
        gateway = self.gateway
        try:
            tokens, micros = self.tokens_at_most, self.micros_at_most
            taken = admit(gateway.book, self, known, tokens, wall_ms, concluded, micros)
        except OverLimit as over:
            refusal, wait_s, fields = over_limit_refusal(over, wall_ms)
            self.refuse(refusal, retry_after_s=wait_s, fields=fields)
            return
        if taken is None:
            self.wait_for_store()
            return
        self.taken = taken
        self.admitted_ms = wall_ms
        forward.forward(self, wall_ms - gateway.clock_offset_ms)

    def units_answered(self, concluded: Lease | None) -> None:
        if self.is_over:
            return
        if self.known is not None and not self.known.is_current and not self.is_claimed:
            self._seek_key()  # it was changed, or revoked, while this request waited
        else:
            self.admit(concluded)

    def store_gone(self) -> None:
        if not self.is_over:
            self.refuse(
                Refusal(Code.STORE_UNAVAILABLE, "The store does not answer; try again shortly."),
                retry_after_s=1,
            )

    @property
    def is_over(self) -> bool:
        """Refused, or its client went away, while it waited."""
        return self.is_client_gone or self.connection.handler is not self

    # --- forward: what the upstream says ---

    def connected(self, connection: UpstreamConnection) -> None:
        self.upstream_connection = connection
        self.waiting = None
        if not self.is_client_gone:
            deadline_ms = self.gateway.swept_ms + self.deadlines.first_byte_ms
            latest_ms = self.total_deadline_ms
            self.deadline_ms = deadline_ms if deadline_ms < latest_ms else latest_ms

    def answer_began(self, head: AnswerHead, payload: bytes, *, is_complete: bool) -> None:
        if is_complete:
            self.upstream_connection = None  # it is in the pool again, and may be another's
        if head.status != 200 and is_given_back(head.status):
            forward.failed(self, head, payload, is_complete=is_complete)
            return
        Relay(self).began(head, payload, is_complete=is_complete)

    def answer_continued(self, payload: bytes, *, is_complete: bool) -> None:
        raise AssertionError("an answer goes on only after it began")

    def answer_lost(self, loss: Loss) -> None:
        self.upstream_connection = None
        forward.lost(self, loss)

    def abandon_upstream(self) -> None:
        """No more is wanted of the answer that is coming, if one is."""
        connection, self.upstream_connection = self.upstream_connection, None
        if connection is not None:
            connection.abandon()

    # --- what may happen meanwhile ---

    def wait_for_store(self) -> None:
        """However many waits follow one another, they share one deadline."""
        if not self.deadline_ms:
            self.deadline_ms = self.gateway.now_ms() + STORE_WAIT_MS
            self.gateway.running.add(self)

    def deadline_passed(self) -> None:
        if not self.total_deadline_ms:  # not forwarded yet; a key may have no limits to take of
            self.store_gone()
        else:
            forward.late(self)

    def client_gone(self) -> None:
        self.is_client_gone = True
        self._is_seeking = False
        forward.client_left(self)

    def client_slow(self) -> None: ...

    def client_ready(self) -> None: ...

    def refuse(
        self, refusal: Refusal, *, retry_after_s: int | None = None, fields: bytes = b""
    ) -> None:
        """Say no; nothing has been taken."""
        assert not self.taken, "a request that was let through is not refused any more"
        self.gateway.counters.refused(refusal.code)
        if self.is_claimed:
            self.gateway.claims.release(self)
        self.answer_whole(
            refusal_answer(
                self.plan.shape,
                refusal,
                request_id=self.request_id,
                retry_after_s=retry_after_s,
                fields=fields,
                will_close=self.connection.will_close(),
                is_head=self.head.method == b"HEAD",
            )
        )

    def answer_whole(self, answer: bytes) -> None:
        """Answer without an upstream."""
        self.gateway.running.discard(self)
        self.connection.write(answer)
        self.connection.finish()
