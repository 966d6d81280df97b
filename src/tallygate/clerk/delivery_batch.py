"""Deliveries that share a transaction: their ids, their events, and letters of what is refused."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from tallygate.clerk import delivery_answers
from tallygate.clerk.delivery_answers import Answer
from tallygate.clerk.shelf import Shelf
from tallygate.core.charging import Event, Policy, Source
from tallygate.core.dify import DEFAULT_INSTANCE
from tallygate.core.dify_events import Delivery, Item
from tallygate.core.errors import Code, Refusal
from tallygate.store import billed_apps, charge_standing, dead_letters, deliveries
from tallygate.store.charging import Outcome, charge_batch
from tallygate.store.database import Tx
from tallygate.store.dead_letters import NewLetter

# Refused, and nothing is lost by it: whoever may not say so at all, or said it well before.
_NOT_KEPT = frozenset((Code.FORBIDDEN,))
_PAYLOAD_MAX = 512 << 10

_CONFLICT = Refusal(
    Code.IDEMPOTENCY_CONFLICT, "a delivery with this id came with another payload before"
)


@dataclass(slots=True, eq=False)
class Waiting:
    """A delivery that is not answered yet."""

    read: Delivery
    body: bytes
    request_id: str
    app: str = ""
    user: str = ""
    delivery_id: str = ""
    may_recall: bool = True


@dataclass(slots=True)
class Done:
    """What a transaction did with its deliveries, once it is committed."""

    answers: dict[Waiting, list[Answer]] = field(default_factory=dict)
    short_wallets: dict[Waiting, set[int]] = field(default_factory=dict)  # what is leased of them
    outcomes: list[Outcome] = field(default_factory=list)


_Resolved = tuple[Waiting, list[Event | Refusal | None]]


async def work(
    tx: Tx,
    now_ms: int,
    batch: Sequence[Waiting],
    shelf: Shelf,
    policy: Policy,
    keep_ms: int,
) -> Done:
    """Charge what the deliveries say. Doing it twice does no more than once."""
    conflicting = await _claim_ids(tx, batch, now_ms, keep_ms)
    done, letters = Done(), list[NewLetter]()
    for may_recall in (True, False):
        some = [one for one in batch if one.may_recall is may_recall and one not in conflicting]
        if some:
            await _charge(tx, now_ms, some, shelf, policy, done, letters)
    for waiting in conflicting:
        done.answers[waiting] = [delivery_answers.refused(_CONFLICT, waiting.request_id)]
        letters.append(_letter(waiting, waiting.body, _CONFLICT))
    await dead_letters.record(tx, letters, now_ms)
    return done


async def _claim_ids(tx: Tx, batch: Sequence[Waiting], now_ms: int, keep_ms: int) -> set[Waiting]:
    """Remember the ids of deliveries; those whose id came with another payload before."""
    named = {one: hashlib.sha256(one.body).digest() for one in batch if one.delivery_id}
    digests: dict[str, bytes] = {}
    for one, digest in named.items():
        digests.setdefault(one.delivery_id, digest)
    first = await deliveries.claim(tx, digests, now_ms, keep_ms)
    return {one for one, digest in named.items() if first[one.delivery_id] != digest}


async def _charge(
    tx: Tx,
    now_ms: int,
    batch: Sequence[Waiting],
    shelf: Shelf,
    policy: Policy,
    done: Done,
    letters: list[NewLetter],
) -> None:
    if not shelf.is_read:
        await shelf.refresh(tx, now_ms)
    found, events = _resolve_all(batch, shelf)
    standing, [marks] = await charge_standing.read_with(tx, events, now_ms, billed_apps.MARKS)
    if await shelf.follow(tx, billed_apps.marks_of(marks), now_ms):
        found, events = _resolve_all(batch, shelf)  # prices or apps are others since
        standing = await charge_standing.read(tx, events, now_ms)
    may_recall = batch[0].may_recall
    outcomes = await charge_batch(
        tx, events, shelf.prices, policy, now_ms, may_recall=may_recall, standing=standing
    )
    done.outcomes += outcomes
    rest = iter(outcomes)
    for waiting, resolved in found:
        answers = done.answers[waiting] = []
        for item, event in zip(waiting.read.items, resolved, strict=True):
            if event is None:
                answers.append(delivery_answers.ignored())
                continue
            outcome = next(rest) if isinstance(event, Event) else Outcome(None, refusal=event)
            if outcome.wallet_id:
                done.short_wallets.setdefault(waiting, set()).add(outcome.wallet_id)
                continue
            answers.append(delivery_answers.of_outcome(outcome, waiting.request_id))
            if outcome.refusal is not None and outcome.refusal.code not in _NOT_KEPT:
                letters.append(_letter(waiting, item.payload, outcome.refusal, outcome))


def _resolve_all(batch: Sequence[Waiting], shelf: Shelf) -> tuple[list[_Resolved], list[Event]]:
    """What became of the items of each delivery, and the events among it."""
    found = [(one, [_resolve(one, item, shelf) for item in one.read.items]) for one in batch]
    events = [event for _, resolved in found for event in resolved if isinstance(event, Event)]
    return found, events


def _resolve(waiting: Waiting, item: Item, shelf: Shelf) -> Event | Refusal | None:
    if item.event is None:
        return item.refusal
    try:
        return shelf.resolve(item.event, waiting.app)
    except Refusal as refusal:
        return refusal


def _letter(
    waiting: Waiting, payload: bytes, refusal: Refusal, outcome: Outcome | None = None
) -> NewLetter:
    row = None if outcome is None else outcome.row
    return NewLetter(
        source=Source.WEBHOOK.value,
        instance=DEFAULT_INSTANCE if row is None else row.instance,
        app=waiting.app,
        account_id=waiting.user,
        code=refusal.code.value,
        message=refusal.message,
        payload=payload[:_PAYLOAD_MAX],
        charge_id=None if row is None else row.id,
    )
