"""GET /v1/models: what the key may use, merged from the providers' lists; never counted.

The lists are the clerk's; it is asked to refresh them when they are old, and a provider that cannot
be read just lists nothing.
"""

from typing import TYPE_CHECKING

from tallygate.core.choice import DEMO_MODEL
from tallygate.core.errors import Code, Refusal
from tallygate.gateway.answers import json_answer, refusal_answer
from tallygate.gateway.identify import check_key
from tallygate.gateway.known_keys import KnownKey
from tallygate.gateway.plan import Plan, unknown_key
from tallygate.gateway.verdicts import is_model_allowed
from tallygate.wire.front import Connection
from tallygate.wire.head import RequestHead

if TYPE_CHECKING:
    from tallygate.gateway.application import Gateway

STORE_WAIT_MS = 5_000
REFRESH_WAIT_MS = 4_000
_GET_ONLY = Refusal(Code.METHOD_NOT_ALLOWED, "Models are listed with GET.", allow="GET, HEAD")


class ModelsExchange:
    """One listing."""

    __slots__ = (
        "_connection",
        "_gateway",
        "_head",
        "_is_refreshing",
        "_known",
        "_plan",
        "_request_id",
        "deadline_ms",
    )

    def __init__(
        self, gateway: "Gateway", connection: Connection, head: RequestHead, plan: Plan
    ) -> None:
        self._gateway = gateway
        self._connection = connection
        self._head = head
        self._plan = plan
        self._request_id = gateway.next_request_id()
        self._known: KnownKey | None = None
        self._is_refreshing = False
        self.deadline_ms = 0

    def start(self) -> None:
        gateway, plan = self._gateway, self._plan
        self._connection.handler = self
        if self._head.method not in (b"GET", b"HEAD"):
            self._refuse(_GET_ONLY)
            return
        if gateway.is_models_public and plan.no_key is not None:
            self._refresh()
            return
        if plan.no_key is not None:
            self._refuse(plan.no_key)
            return
        if gateway.closed is not None:
            self._refuse(gateway.closed)
            return
        known = gateway.keys.find(plan.key_hash)
        if known is not None:
            self.key_found(known, is_store_available=True)
        elif gateway.keys.is_unknown(plan.key_hash, gateway.now_ms()):
            self.key_found(None, is_store_available=True)
        else:
            self._wait(STORE_WAIT_MS)
            if not gateway.keys.seek(plan.key_hash, self):
                self.key_found(None, is_store_available=False)

    def key_found(self, known: KnownKey | None, *, is_store_available: bool) -> None:
        if self._connection.handler is not self:
            return
        if known is None:
            if self._gateway.is_models_public:
                self._refresh()
            elif is_store_available:
                self._refuse(unknown_key(self._plan.masked_key))
            else:
                self._refuse(Refusal(Code.STORE_UNAVAILABLE, "The store does not answer."))
        else:
            self._identified(known)

    def _identified(self, known: KnownKey) -> None:
        gateway = self._gateway
        address = gateway.address_of(self._connection, self._plan)
        try:
            check_key(known, address, gateway.wall_ms())
        except Refusal as refusal:
            self._refuse(refusal)
            return
        self._known = known
        self._refresh()

    def _refresh(self) -> None:
        self._is_refreshing = True
        if self._gateway.refresh_models(self):
            self._wait(REFRESH_WAIT_MS)
        else:
            self.models_refreshed()

    def models_refreshed(self) -> None:
        if self._connection.handler is not self:
            return
        wanted = self._plan.route.removeprefix("/v1/models").removeprefix("/")
        models = [one for one in self._models() if not wanted or one["id"] == wanted]
        if wanted and not models:
            self._refuse(
                Refusal(Code.MODEL_NOT_FOUND, f"The model {wanted!r} does not exist here.")
            )
            return
        value: object = models[0] if wanted else {"object": "list", "data": models}
        self._answer(
            json_answer(
                value,
                request_id=self._request_id,
                will_close=self._connection.will_close(),
                is_head=self._head.method == b"HEAD",
            )
        )

    def _models(self) -> list[dict[str, object]]:
        allowed = self._known.key.models if self._known is not None else None
        routes = self._gateway.upstreams.routes
        names = [(DEMO_MODEL, "demo")] if routes.is_demo else routes.model_names()
        return [
            {"id": name, "object": "model", "created": 0, "owned_by": provider}
            for name, provider in names
            if allowed is None or is_model_allowed(name, allowed)
        ]

    def _wait(self, wait_ms: int) -> None:
        self.deadline_ms = self._gateway.now_ms() + wait_ms
        self._gateway.running.add(self)

    def _refuse(self, refusal: Refusal) -> None:
        self._gateway.counters.refused(refusal.code)
        self._answer(
            refusal_answer(
                self._plan.shape,
                refusal,
                request_id=self._request_id,
                will_close=self._connection.will_close(),
                is_head=self._head.method == b"HEAD",
            )
        )

    def _answer(self, answer: bytes) -> None:
        self._gateway.running.discard(self)
        self._connection.write(answer)
        self._connection.finish()

    def deadline_passed(self) -> None:
        if self._is_refreshing:
            self.models_refreshed()  # what was known before is better than nothing
        else:
            self._refuse(Refusal(Code.STORE_UNAVAILABLE, "The store does not answer."))

    def client_gone(self) -> None:
        self._gateway.running.discard(self)

    def client_slow(self) -> None: ...

    def client_ready(self) -> None: ...

    def body_received(self, data: bytes) -> None: ...

    def body_ended(self) -> None: ...
