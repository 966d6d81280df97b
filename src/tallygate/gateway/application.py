"""The gateway of one worker: what exchanges share, and the first decision about each request."""

import asyncio
import urllib.parse
from collections.abc import Callable
from typing import Protocol

from tallygate.core.addresses import parse_networks
from tallygate.core.deliveries import Deliver
from tallygate.core.errors import Code, Refusal
from tallygate.core.ports import FetchModels
from tallygate.core.provider import Provider
from tallygate.gateway.answers import Shape, refusal_answer
from tallygate.gateway.backends import Backends
from tallygate.gateway.claims import Claims
from tallygate.gateway.credential_use import CredentialNotes
from tallygate.gateway.deliver import Deliveries
from tallygate.gateway.delivery_door import door_of
from tallygate.gateway.dify_exchange import DifyExchange
from tallygate.gateway.exchange import MeteredExchange
from tallygate.gateway.health import answer_health
from tallygate.gateway.intake import Intake
from tallygate.gateway.known_keys import KnownKeys
from tallygate.gateway.lease_book import LeaseBook
from tallygate.gateway.models import ModelsExchange
from tallygate.gateway.options import Options
from tallygate.gateway.plain import PlainExchange
from tallygate.gateway.plan import Plan, Service, client_address, is_trusted
from tallygate.gateway.price_list import PriceList
from tallygate.gateway.record import Recorder
from tallygate.gateway.renewals import Renewals
from tallygate.gateway.route import passthrough
from tallygate.gateway.route_exchange import RouteExchange
from tallygate.gateway.route_shares import RouteShares
from tallygate.gateway.upstreams import Upstreams
from tallygate.gateway.usage_door import usage_door_of
from tallygate.gateway.usage_log import UsageLog
from tallygate.telemetry.counters import Counters
from tallygate.wire.front import Connection
from tallygate.wire.head import RequestHead
from tallygate.wire.pool import Pool

SMALL_BODY_BYTES_MAX = 64 << 10


class Running(Protocol):
    """Anything with a deadline."""

    deadline_ms: int

    def deadline_passed(self) -> None: ...


class Gateway:
    """Implements wire's Application."""

    def __init__(
        self,
        options: Options,
        loop: asyncio.AbstractEventLoop,
        *,
        book: LeaseBook,
        keys: KnownKeys,
        claims: Claims,
        recorder: Recorder,
        upstreams: Upstreams,
        backends: Backends,
        shares: RouteShares,
        control: Pool,
        counters: Counters,
        via: bytes,
        deliver: Callable[[Deliver], bool],
    ) -> None:
        self._loop = loop
        self.book = book
        self.prices = PriceList()
        self.keys = keys
        self.claims = claims
        self.recorder = recorder
        self.upstreams = upstreams
        self.backends = backends
        self.shares = shares
        self.control = control
        self.counters = counters
        self.schedule: Callable[[Callable[[], None]], object] = loop.call_soon
        self.running: set[Running] = set()
        self.clock_offset_ms = 0
        self.swept_ms = self.now_ms()
        self.closed: Refusal | None = None  # why nothing can be admitted at the moment
        self.deliveries = Deliveries(self, deliver, door_of(options), options.dify_body_bytes_max)
        self.usage_log = UsageLog(
            self,
            usage_door_of(options),
            bytes_max=options.usage_body_bytes_max,
            events_max=options.usage_events_max,
        )
        self._intakes: dict[Service, Intake] = {
            Service.WEBHOOK: self.deliveries,
            Service.USAGE_LOG: self.usage_log,
        }
        self.fetch_models: Callable[[FetchModels], bool] = lambda _: False
        self.attempts_max = options.attempts_max
        self.credential_use = CredentialNotes()
        self.renewals = Renewals(self.credential_use, int(options.renewal_wait_s * 1000))
        self.default_output_tokens = options.default_output_tokens
        self.client_gone_drain_ms = options.client_gone_drain_s * 1000
        self.client_gone_drain_bytes_max = options.client_gone_drain_bytes_max
        self.is_models_public = options.public_models
        self._body_bytes_max = options.metered_body_bytes_max
        self._trusted = parse_networks(options.trusted_proxies)
        self._via = via
        self._plans_version = 0
        self._request_prefix = f"req_{options.boot:x}_{options.slot:x}_"
        self._request_number = 0
        self._listings: dict[int, ModelsExchange] = {}
        self._listing_id = 0

    # --- what exchanges ask ---

    def now_ms(self) -> int:
        """Monotonic."""
        return int(self._loop.time() * 1000)

    def wall_ms(self) -> int:
        """The store's clock."""
        return int(self._loop.time() * 1000) + self.clock_offset_ms

    def next_request_id(self) -> str:
        self._request_number += 1
        return f"{self._request_prefix}{self._request_number:x}"

    def address_of(self, connection: Connection, plan: Plan) -> str:
        if not plan.forwarded_for:
            return connection.peer
        return client_address(connection.peer, plan.forwarded_for, self._trusted)

    def came_by_tls(self, connection: Connection, head: RequestHead) -> bool:
        """Whether a proxy of our own says that its client came by TLS."""
        said = head.value(b"x-forwarded-proto")
        return said == b"https" and is_trusted(connection.peer, self._trusted)

    def passthrough_candidates(
        self, route: str, scopes: tuple[str, ...]
    ) -> tuple[tuple[Provider, str], ...]:
        providers = [one.provider for one in self.upstreams.all()]
        return passthrough(providers, route, scopes)

    def refresh_models(self, listing: ModelsExchange) -> bool:
        """Ask the clerk to refresh; False when it cannot be asked."""
        self._listing_id += 1
        if not self.fetch_models(FetchModels(self._listing_id)):
            return False
        self._listings[self._listing_id] = listing
        return True

    def models_refreshed(self, listing_id: int) -> None:
        listing = self._listings.pop(listing_id, None)
        if listing is not None:
            listing.models_refreshed()

    def clerk_returned(self) -> None:
        """What the last clerk was asked for models is answered with what is known."""
        for listing_id in list(self._listings):
            self.models_refreshed(listing_id)

    def providers_changed(self) -> None:
        self._plans_version += 1
        self.prices.providers_changed()

    # --- what wire asks ---

    def respond(self, connection: Connection, head: RequestHead, body: bytes) -> None:
        plan = head.memo
        if plan is None or plan.version != self._plans_version:
            plan = self._plan(head)
        service = plan.service
        if service is _METERED or service is _PASSTHROUGH:
            if service is _METERED and head.method != b"POST":
                self._refuse(connection, head, plan.shape, _POST_ONLY)
            elif not self.recorder.has_room(len(self.running)):
                self._refuse(connection, head, plan.shape, _NO_ROOM)
            elif plan.is_loop:
                self._refuse(connection, head, plan.shape, _LOOP)
            else:
                MeteredExchange(self, connection, head, plan, body).start()
        elif service is _ROUTE:
            if (refusal := self._why_no_route(plan)) is not None:
                self._refuse(connection, head, plan.shape, refusal)
            else:
                RouteExchange(self, connection, head, plan).start(body)
        elif service is Service.DIFY:
            if plan.is_loop:
                self._refuse(connection, head, plan.shape, _LOOP)
            else:
                DifyExchange(self, connection, head, plan).start(body)
        elif service is _CONTROL:
            if self._is_internal(plan):
                self._refuse(connection, head, plan.shape, _NOT_FOUND)
            else:
                PlainExchange(self, connection, head, plan).start(body)
        elif (intake := self._intakes.get(service)) is not None:
            intake.receive(connection, head, plan, body)
        elif service is Service.MODELS:
            ModelsExchange(self, connection, head, plan).start()
        else:
            answer_health(self, connection, head, service)

    def begin(self, connection: Connection, head: RequestHead, length: int) -> int | None:
        plan = head.memo
        if plan is None or plan.version != self._plans_version:
            plan = self._plan(head)
        if plan.service in (_METERED, _PASSTHROUGH, Service.DIFY):
            if plan.no_key is not None:
                raise plan.no_key
            if self.keys.is_unknown(plan.key_hash, self.now_ms()):
                raise Refusal(Code.INVALID_API_KEY, f"Incorrect API key: {plan.masked_key}.")
            return self._body_bytes_max
        if plan.service is _ROUTE:
            if (refusal := self._why_no_route(plan)) is not None:
                raise refusal
            RouteExchange(self, connection, head, plan).start_streaming(length)
            return None
        if plan.service is _CONTROL and not self._is_internal(plan):
            PlainExchange(self, connection, head, plan).start_streaming(length)
            return None
        intake = self._intakes.get(plan.service)
        return SMALL_BODY_BYTES_MAX if intake is None else intake.begin(connection, head, plan)

    def refuse(self, connection: Connection, head: RequestHead | None, no: Refusal) -> None:
        shape = Shape.OWN
        if head is not None:
            plan = head.memo or self._plan(head)
            shape = plan.shape
            if (intake := self._intakes.get(plan.service)) is not None:
                intake.turn_away(connection, head, plan, no)
                return
        self._refuse(connection, head, shape, no)

    # --- four times a second ---

    def sweep(self, now_ms: int) -> None:
        self.swept_ms = now_ms
        for running in [one for one in self.running if one.deadline_ms <= now_ms]:
            running.deadline_passed()
        self.usage_log.sweep(now_ms)

    # --- inside ---

    def _plan(self, head: RequestHead) -> Plan:
        plan = head.memo = Plan(head, self._plans_version, self._via, self.backends)
        return plan

    def _why_no_route(self, plan: Plan) -> Refusal | None:
        """Before anything is known of the token."""
        if not self.recorder.has_room(len(self.running)):
            return _NO_ROOM
        return _LOOP if plan.is_loop else None

    @staticmethod
    def _is_internal(plan: Plan) -> bool:
        """The demo provider's own entrance at the control plane is not for outsiders.

        The control plane decodes a path before it reads it, so we do the same.
        """
        route = urllib.parse.unquote(plan.route) if "%" in plan.route else plan.route
        return route == "/internal" or route.startswith("/internal/")

    def _refuse(
        self, connection: Connection, head: RequestHead | None, shape: Shape, refusal: Refusal
    ) -> None:
        self.counters.refused(refusal.code)
        connection.write(
            refusal_answer(
                shape,
                refusal,
                request_id=self.next_request_id(),
                retry_after_s=1 if refusal.status == 503 else None,
                will_close=connection.will_close(),
                is_head=head is not None and head.method == b"HEAD",
            )
        )
        connection.finish()


_METERED, _PASSTHROUGH = Service.METERED, Service.PASSTHROUGH
_ROUTE, _CONTROL = Service.ROUTE, Service.CONTROL
_POST_ONLY = Refusal(Code.METHOD_NOT_ALLOWED, "Send this request with POST.", allow="POST")
_NOT_FOUND = Refusal(Code.NOT_FOUND, "Nothing is served here.")
_NO_ROOM = Refusal(Code.JOURNAL_UNAVAILABLE, "The journal cannot be written at the moment.")
_LOOP = Refusal(Code.IMPOSSIBLE, "This request has passed through this gateway before.")
