"""The journal entry of a request: what it took, how it ended, what it used."""

from typing import TYPE_CHECKING

from tallygate.core.entry import Attempt, Entry, Outcome
from tallygate.core.meters import Meter
from tallygate.core.usage import INPUT_TOKENS, OUTPUT_TOKENS
from tallygate.gateway.admit import settle
from tallygate.gateway.bill import bill_of, measure, micros_of_event
from tallygate.gateway.verdicts import is_given_back

if TYPE_CHECKING:
    from tallygate.gateway.exchange import MeteredExchange

ROUTE_LENGTH_MAX = 512  # only a passed-through path can be longer


def entry_of(
    exchange: "MeteredExchange",
    *,
    status: int,
    outcome: Outcome,
    meter: Meter | None,
    first_byte_ms: int,
    ended_ms: int,
    bytes_out: int,
) -> Entry:
    """Settles what the request held, and says so for the books."""
    gateway, known, plan = exchange.gateway, exchange.known, exchange.plan
    assert known is not None
    key = known.key
    is_counted = 200 <= status < 300 or not is_given_back(status)
    event = exchange.dify.event() if exchange.dify is not None else None
    charge, micros = None, 0
    if exchange.tariff is None:
        counts, source = measure(exchange, status, meter)
        points_micros = micros_of_event(exchange, event) if event is not None else 0
    else:
        bill = exchange.bill or bill_of(exchange, status, meter)
        counts, source, charge = bill.counts, bill.source, bill.charge
        micros = points_micros = bill.micros
    uses = settle(
        exchange.taken,
        is_counted=is_counted,
        tokens=counts.get(INPUT_TOKENS, 0) + counts.get(OUTPUT_TOKENS, 0) if counts else 0,
        micros=micros,
        points_micros=points_micros,
    )
    duration_ms = ended_ms - exchange.admitted_ms
    provider = exchange.upstream.provider.label
    gateway.counters.ended(outcome, status, duration_ms, counts, provider)
    return Entry(
        exchange.request_id,
        key.tenant_id,
        key.id,
        key.user_id,
        exchange.admitted_ms,
        duration_ms,
        first_byte_ms - exchange.admitted_ms if first_byte_ms else duration_ms,
        plan.route[:ROUTE_LENGTH_MAX],
        exchange.model if event is None else event.model or exchange.model,
        provider,
        status,
        outcome,
        source,
        is_counted,
        counts,
        uses,
        exchange.address,
        plan.agent,
        len(exchange.body),
        bytes_out,
        _attempts(exchange, status, duration_ms) if exchange.attempts else [],
        charge,
        event,
        plan.traceparent,
    )


def _attempts(exchange: "MeteredExchange", status: int, duration_ms: int) -> list[Attempt]:
    """Of a request that was not answered at the first try: the last one, too."""
    failed = exchange.attempts or []
    provider, renewal = exchange.upstream.provider.name, exchange.renewal
    is_answered = failed[-1].provider != provider or (renewal is not None and renewal.is_answered)
    if status and is_answered:
        return [*failed, Attempt(provider, status, duration_ms)]
    return failed
