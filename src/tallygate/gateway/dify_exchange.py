"""A call of a Dify app that is not metered: uploads, lists, stopping, speech.

The key is identified and its user put in; what is left is a plain relay to the app's server.
"""

from typing import TYPE_CHECKING, ClassVar

from tallygate.core.errors import Code, Refusal
from tallygate.core.provider import Deadlines
from tallygate.gateway.dify_call import DifyCall
from tallygate.gateway.identify import check_key
from tallygate.gateway.known_keys import KnownKey
from tallygate.gateway.plain import PlainExchange
from tallygate.gateway.plan import Plan, unknown_key
from tallygate.gateway.verdicts import is_withheld, refusal_of_withheld
from tallygate.wire.answer import AnswerHead
from tallygate.wire.front import Connection
from tallygate.wire.head import RequestHead

if TYPE_CHECKING:
    from tallygate.gateway.application import Gateway

STORE_WAIT_MS = 5_000


class DifyExchange(PlainExchange):
    """One of them."""

    __slots__ = ("_body", "_is_seeking")

    NO_ANSWER: ClassVar = Refusal(Code.UPSTREAM_UNREACHABLE, "The Dify server did not answer.")

    def __init__(
        self, gateway: "Gateway", connection: Connection, head: RequestHead, plan: Plan
    ) -> None:
        super().__init__(gateway, connection, head, plan)
        self._body = b""
        self._is_seeking = False

    def start(self, body: bytes) -> None:
        gateway, plan = self._gateway, self._plan
        self._connection.handler = self
        self._body = body
        known = gateway.keys.find(plan.key_hash)
        if plan.no_key is not None:
            self._no(plan.no_key)
        elif gateway.closed is not None:
            self._no(gateway.closed)
        elif known is not None:
            self._identified(known)
        elif gateway.keys.is_unknown(plan.key_hash, gateway.now_ms()):
            self._no(unknown_key(plan.masked_key))
        else:
            self._is_seeking = True
            self.deadline_ms = gateway.now_ms() + STORE_WAIT_MS
            gateway.running.add(self)
            if not gateway.keys.seek(plan.key_hash, self):
                self.key_found(None, is_store_available=False)

    def key_found(self, known: KnownKey | None, *, is_store_available: bool) -> None:
        if not self._is_seeking or self._connection.handler is not self:
            return
        self._is_seeking = False
        if known is not None:
            self._identified(known)
        elif is_store_available:
            self._no(unknown_key(self._plan.masked_key))
        else:
            self._no(_NO_STORE)

    def _identified(self, known: KnownKey) -> None:
        gateway, path = self._gateway, self._plan.dify
        assert path is not None, "only paths under /dify come here"
        try:
            check_key(known, gateway.address_of(self._connection, self._plan), gateway.wall_ms())
            call = DifyCall(gateway, self._head, path, known.key)
            call.take(self._body)
            upstream = gateway.upstreams.of(call.candidates[0][0])
            self._data = call.data(upstream)
        except Refusal as refusal:
            self._no(refusal)
            return
        self._pool = upstream.pool
        self._ask()

    def answer_began(self, head: AnswerHead, payload: bytes, *, is_complete: bool) -> None:
        if is_withheld(head.status):  # it is about the app's key, which is the operator's
            if is_complete:
                self._upstream = None
            self._let_go()
            self._say_no(refusal_of_withheld(head.status)[0])
            return
        super().answer_began(head, payload, is_complete=is_complete)
        if not is_complete:
            self.deadline_ms = self._gateway.swept_ms + Deadlines().total_ms

    def _no(self, refusal: Refusal) -> None:
        self._gateway.counters.refused(refusal.code)
        self._say_no(refusal)

    def deadline_passed(self) -> None:
        if self._is_seeking:
            self.key_found(None, is_store_available=False)
        elif self._has_answer:
            self._let_go()
            self._is_cut = True
            self._finish()
        else:
            super().deadline_passed()

    def client_gone(self) -> None:
        self._is_seeking = False
        super().client_gone()


_NO_STORE = Refusal(Code.STORE_UNAVAILABLE, "The store does not answer; try again shortly.")
