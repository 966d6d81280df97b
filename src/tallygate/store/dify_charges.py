"""Events of Dify servers that we read ourselves become charges: proxied answers, and traces.

Both go the way of every event, so that one message is one charge whoever tells of it. What a call
through us used is owed whatever the balance is by then: the call was let through.
"""

from collections.abc import Collection, Iterable

import msgspec
import sqlalchemy as sa

from tallygate.core.charging import Event, Policy, Source
from tallygate.core.dify import ROUTE_PREFIX, BilledBy
from tallygate.core.dify_commands import ABSURD, DifyAppView, Observation
from tallygate.core.entry import Entry
from tallygate.core.errors import Code, Refusal
from tallygate.core.pricing import Prices
from tallygate.core.usage import INPUT_TOKENS, OUTPUT_TOKENS
from tallygate.core.usage import Source as Measured
from tallygate.store import dead_letters
from tallygate.store.charging import Outcome, charge_batch
from tallygate.store.database import Tx
from tallygate.store.dead_letters import NewLetter
from tallygate.store.dify_traces import Trace
from tallygate.store.money_schema import wallet
from tallygate.store.schema import usage

Part = tuple[str, dict[str, int]]


async def charge_entries(
    tx: Tx, entries: Iterable[Entry], prices: Prices, policy: Policy, now_ms: int
) -> None:
    """Charge calls through our proxy, in the transaction that settles them."""
    some = [one for one in entries if one.event is not None and one.user_id]
    if not some:
        return
    events = [event_of_entry(one) for one in some]
    known = [event for one, event in zip(some, events, strict=True) if not _is_unknown(one)]
    charged = iter(await charge_batch(tx, known, prices, owed(policy), now_ms))
    outcomes = [_UNDECIDED if _is_unknown(one) else next(charged) for one in some]
    apps = [one.provider.removeprefix(ROUTE_PREFIX) for one in some]
    await note(tx, zip(events, outcomes, apps, strict=True), now_ms)
    costs = [
        {"of_request": one.request_id, "at": one.admitted_ms, "micros": outcome.deducted_micros}
        for one, outcome in zip(some, outcomes, strict=True)
        if outcome.deducted_micros
    ]
    if costs:
        await tx.execute(_COST, costs)


def _is_unknown(entry: Entry) -> bool:
    return entry.event is not None and entry.event.is_unknown


# No name of it may be known either, and so tracing's word of the same use could not be told from
# another one: charging an estimate at once might charge it twice. Replayed, it is charged so.
_UNDECIDED = Outcome(
    None,
    refusal=Refusal(
        Code.USAGE_MISSING,
        "the client left, and the app had said nothing of its use by then; this is its input",
    ),
)

# Of the rows that this transaction has made; `at_ms` is what there is an index for.
_COST = (
    sa.update(usage)
    .where(usage.c.at_ms == sa.bindparam("at"), usage.c.request_id == sa.bindparam("of_request"))
    .values(charge_micros=sa.bindparam("micros"))
)


def owed(policy: Policy) -> Policy:
    return msgspec.structs.replace(policy, is_owed=True)


async def note(tx: Tx, told: Iterable[tuple[Event, Outcome, str]], now_ms: int) -> None:
    """Keep what was refused, with the name of the app that it is of."""
    letters = [
        _letter(event, outcome, outcome.refusal, app)
        for event, outcome, app in told
        if outcome.refusal is not None
    ]
    await dead_letters.record(tx, letters, now_ms)


async def lock_payers(tx: Tx, entries: Iterable[Entry], freed: Collection[int]) -> None:
    """All wallets that settling these entries will change, in the order of their ids."""
    accounts = {one.user_id for one in entries if one.event is not None}
    if accounts:
        ids = {one.charge.wallet_id for one in entries if one.charge is not None} | set(freed)
        them = wallet.c.account_id.in_(sorted(accounts)) | wallet.c.id.in_(sorted(ids))
        await tx.execute(sa.select(wallet.c.id).where(them).order_by(wallet.c.id).with_for_update())


def event_of_entry(entry: Entry) -> Event:
    used = entry.event
    assert used is not None, "asked of calls to Dify only"
    return Event(
        source=Source.PROXY,
        instance=used.instance,
        aliases=used.aliases,
        account_id=entry.user_id,
        model=used.model,
        counts=_sum(used.parts) if used.is_unknown else entry.counts,
        event_ms=entry.admitted_ms,
        key_id=entry.key_id,
        request_id=entry.request_id,
        conversation_id=used.conversation_id,
        message_id=used.message_id,
        parts=_several(used.parts),
        is_estimated=used.is_unknown or entry.source == Measured.ESTIMATED,
        is_billed_elsewhere=not used.is_charged,
    )


def event_of_trace(trace: Trace, app: DifyAppView) -> Event:
    """Where nodes told of their uses, a sum of the whole message is not one more."""
    told = trace.told
    of_nodes = [used for used in told.observations if used.is_of_node]
    parts = _parts(of_nodes or told.observations, app.model)
    most = max(parts, key=lambda part: sum(part[1].values()), default=("", {}))
    named = (("message", told.message_id), ("run", told.run_id))
    aliases = tuple((kind, id_) for kind, id_ in named if id_)
    return Event(
        source=Source.TRACING,
        instance=app.instance,
        aliases=aliases or (("message", told.trace_id),),
        account_id=told.account_id,
        model=most[0],
        counts=_sum(parts),
        event_ms=told.event_ms,
        conversation_id=told.conversation_id,
        message_id=told.message_id,
        parts=_several(parts),
        is_billed_elsewhere=app.billed_by == BilledBy.GATEWAY,
    )


def _parts(observations: Iterable[Observation], model: str) -> tuple[Part, ...]:
    sums: dict[str, dict[str, int]] = {}
    for used in observations:
        counts = sums.setdefault(used.model or model, {INPUT_TOKENS: 0, OUTPUT_TOKENS: 0})
        for name, count in ((INPUT_TOKENS, used.input_tokens), (OUTPUT_TOKENS, used.output_tokens)):
            counts[name] = _added(counts[name], count)
    return tuple(sums.items())


def _several(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """An event of one model says so by its name alone."""
    return parts if len(parts) > 1 else ()


def _sum(parts: Iterable[Part]) -> dict[str, int]:
    total = {INPUT_TOKENS: 0, OUTPUT_TOKENS: 0}
    for _, counts in parts:
        for name, count in counts.items():
            total[name] = _added(total[name], count)
    return total


def _added(sum_: int, count: int) -> int:
    return ABSURD if ABSURD in (sum_, count) else sum_ + count


class _Kept(msgspec.Struct):
    """An event in a letter: whole, so that what is sent in again is what was refused."""

    event: str
    data: Event


_KEPT = "use"
_kept = msgspec.json.Decoder(_Kept)


def event_of_letter(payload: str) -> Event:
    """Of a letter that `note` has made."""
    return _kept.decode(payload).data


def _letter(event: Event, outcome: Outcome, refusal: Refusal, app: str) -> NewLetter:
    return NewLetter(
        source=event.source.value,
        instance=event.instance,
        app=app,
        account_id=event.account_id,
        code=refusal.code.value,
        message=refusal.message,
        payload=msgspec.json.encode(_Kept(_KEPT, event)),
        charge_id=None if outcome.row is None else outcome.row.id,
    )
