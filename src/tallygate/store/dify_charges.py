"""Events of Dify servers that we read ourselves become charges: proxied answers, and traces.

Both go the way of every event, so that one message is one charge whoever tells of it. What a call
through us used is owed whatever the balance is by then: the call was let through.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from tallygate.core.charging import Event, Policy, Source
from tallygate.core.dify_commands import Observation
from tallygate.core.entry import Entry
from tallygate.core.errors import Refusal
from tallygate.core.pricing import Prices
from tallygate.core.usage import INPUT_TOKENS, OUTPUT_TOKENS
from tallygate.store.charging import charge_batch
from tallygate.store.database import Tx
from tallygate.store.dify_traces import Trace

Part = tuple[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Billing:
    """By what events are charged."""

    prices: Prices
    policy: Policy


@dataclass(frozen=True, slots=True)
class Charged:
    """What came of a batch: what accounts spent, and what was refused."""

    spent: dict[str, int]
    refused: list[tuple[Event, Refusal]]


async def charge_entries(
    tx: Tx, entries: Iterable[Entry], billing: Billing, now_ms: int
) -> Charged:
    """Of calls through our proxy, in the transaction that settles them."""
    events = [event_of_entry(one) for one in entries if one.event is not None and one.user_id]
    policy = msgspec.structs.replace(billing.policy, is_owed=True)
    return await _charge(tx, events, billing.prices, policy, now_ms)


async def charge_events(
    tx: Tx, events: Sequence[Event], billing: Billing, now_ms: int
) -> Charged:
    """Of traces."""
    return await _charge(tx, events, billing.prices, billing.policy, now_ms)


async def _charge(
    tx: Tx, events: Sequence[Event], prices: Prices, policy: Policy, now_ms: int
) -> Charged:
    spent: dict[str, int] = {}
    refused: list[tuple[Event, Refusal]] = []
    if not events:
        return Charged(spent, refused)
    before: dict[int, int] = {}
    for event, outcome in zip(
        events, await charge_batch(tx, events, prices, policy, now_ms), strict=True
    ):
        if outcome.refusal is not None:
            refused.append((event, outcome.refusal))
        row = outcome.row
        if row is not None and outcome.deducted_micros > before.get(row.id, 0):
            more = outcome.deducted_micros - before.get(row.id, 0)
            before[row.id] = outcome.deducted_micros
            if outcome.verdict in _TAKING:
                spent[row.account_id] = spent.get(row.account_id, 0) + more
    return Charged(spent, refused)


def event_of_entry(entry: Entry) -> Event:
    used = entry.event
    assert used is not None, "asked of calls to Dify only"
    return Event(
        source=Source.PROXY,
        instance=used.instance,
        aliases=used.aliases,
        account_id=entry.user_id,
        model=used.model,
        counts=entry.counts,
        event_ms=entry.admitted_ms,
        key_id=entry.key_id,
        request_id=entry.request_id,
        conversation_id=used.conversation_id,
        message_id=used.message_id,
        parts=_several(used.parts),
        is_billed_elsewhere=not used.is_charged,
    )


def event_of_trace(trace: Trace, instance: str, model: str, *, is_charged: bool) -> Event:
    """`model` is the app's: of uses that name none.

    Where nodes told of their uses, a sum of the whole message is not one more.
    """
    told = trace.told
    of_nodes = [used for used in told.observations if used.is_of_node]
    parts = _parts(of_nodes or told.observations, model)
    most = max(parts, key=lambda part: sum(part[1].values()), default=("", {}))
    named = (("message", told.message_id), ("run", told.run_id))
    aliases = tuple((kind, id_) for kind, id_ in named if id_)
    return Event(
        source=Source.TRACING,
        instance=instance,
        aliases=aliases or (("message", told.trace_id),),
        account_id=told.account_id,
        model=most[0],
        counts=_sum(parts),
        event_ms=told.event_ms,
        conversation_id=told.conversation_id,
        message_id=told.message_id,
        parts=_several(parts),
        is_billed_elsewhere=not is_charged,
    )


def _parts(observations: Iterable[Observation], model: str) -> tuple[Part, ...]:
    sums: dict[str, dict[str, int]] = {}
    for used in observations:
        counts = sums.setdefault(used.model or model, {INPUT_TOKENS: 0, OUTPUT_TOKENS: 0})
        counts[INPUT_TOKENS] += used.input_tokens
        counts[OUTPUT_TOKENS] += used.output_tokens
    return tuple(sums.items())


def _several(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """An event of one model says so by its name alone."""
    return parts if len(parts) > 1 else ()


def _sum(parts: Iterable[Part]) -> dict[str, int]:
    total = {INPUT_TOKENS: 0, OUTPUT_TOKENS: 0}
    for _, counts in parts:
        for name, count in counts.items():
            total[name] += count
    return total
