"""Charging a batch of events in one transaction: each event once, whoever says so, how often.

All wallets are locked first, in the order of their ids, so that two batches never wait for each
other in a circle; then the charges that the events have already are read, which nobody else can
change meanwhile. Events are taken in turn and in memory; what came of them is written in bulk.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from tallygate.core.charging import (
    Event,
    Policy,
    Source,
    State,
    Trust,
    Verdict,
    is_browsers_word,
    judge_cost,
    judge_known,
)
from tallygate.core.errors import Refusal
from tallygate.core.pricing import Cost, Prices
from tallygate.core.wallet import Wallet
from tallygate.store import budgets, charge_refusals, charge_rows, charge_standing, wallets
from tallygate.store.charge_correction import correct, take_difference
from tallygate.store.charge_pricing import priced, repriced
from tallygate.store.charge_rows import Alias, Row
from tallygate.store.charge_standing import HINT, Standing, names_of
from tallygate.store.database import Tx

_REFUNDED = State.REFUNDED.value
_CHARGED, _NOTED = State.CHARGED.value, State.NOTED.value
_UNPAID, _REVIEW = State.UNPAID.value, State.REVIEW.value


class Outcome(msgspec.Struct, frozen=True):
    """What became of an event. `row` is its charge as it stands now, unless it was refused.

    `wallet_id` above 0: undecided, for the money that is missing is leased by gateways; nothing
    was written, and the event is to be charged again once they were asked for it.
    """

    verdict: Verdict | None
    row: Row | None = None
    refusal: Refusal | None = None
    wallet_id: int = 0

    @property
    def deducted_micros(self) -> int:
        """What the account was charged for the event, refunded or not."""
        row = self.row
        if row is None or row.state not in (_CHARGED, _REFUNDED):
            return 0
        return row.micros


async def charge_batch(
    tx: Tx,
    events: Sequence[Event],
    book: Prices,
    policy: Policy,
    now_ms: int,
    *,
    may_recall: bool = False,
    standing: Standing | None = None,
) -> list[Outcome]:
    """Charge, repeat, correct, note or refuse each of the events, in turn.

    `standing` if it has been read for these events in this transaction.
    """
    if not events:
        return []
    if standing is None:
        standing = await charge_standing.read(tx, events, now_ms)
    batch = _Batch(standing, book, policy, now_ms, may_recall)
    outcomes = []
    for event in events:
        outcome = batch.take(event)
        outcomes.append(outcome if outcome is not None else await batch.adjust(tx, event))
    spent = batch.spent() if standing.is_watched else {}
    await batch.write(tx)
    if spent:
        await budgets.note_spent(tx, spent, now_ms)
    return outcomes


class _Batch:
    """The events of one transaction, and what they have come to so far."""

    __slots__ = (
        *("_aliases", "_book", "_changed", "_ids", "_known", "_may_recall", "_moved", "_new"),
        *("_now_ms", "_policy", "_waiting", "_wallets"),
    )

    def __init__(
        self,
        standing: Standing,
        book: Prices,
        policy: Policy,
        now_ms: int,
        may_recall: bool,
    ) -> None:
        self._wallets = standing.wallets
        self._known = standing.known
        self._ids = iter(standing.ids)
        self._book = book
        self._policy = policy
        self._now_ms = now_ms
        self._may_recall = may_recall
        self._new: list[Row] = []
        self._changed: dict[int, Row] = {}
        self._aliases: dict[Alias, Row] = {}
        self._moved: list[tuple[Alias, int, Row]] = []
        self._waiting: dict[Alias, Outcome] = {}

    def spent(self) -> dict[str, int]:
        """What this batch takes of each account, by what its charges are or become."""
        return {
            account_id: -sum(one.amount_micros for one in wallet.entries if one.charge_id)
            for account_id, wallet in self._wallets.items()
            if wallet.entries
        }

    async def write(self, tx: Tx) -> None:
        new_ids = {row.id for row in self._new}
        new = charge_rows.inserting(self._new, list(self._aliases.items()))
        with charge_rows.racing():
            await wallets.write(tx, self._wallets.values(), beside=new)
        await charge_rows.move(tx, self._moved)
        await charge_rows.update(tx, [r for r in self._changed.values() if r.id not in new_ids])

    # --- one event ---

    def take(self, event: Event) -> Outcome | None:
        """What becomes of it; None if its charge has to be corrected."""
        if event.source is Source.TRACING and (refusal := charge_refusals.absurd(event)):
            return Outcome(None, refusal=refusal)
        row = waiting = None
        for kind, event_id in event.aliases:
            name = (event.instance, kind, event_id)
            row = row or self._known.get(name)
            waiting = waiting or self._waiting.get(name)
        if waiting is not None:
            return waiting
        if event.source is Source.BROWSER and self._policy.browser_trust is not Trust.CHARGE:
            return self._hint(event, row)
        return self._first(event) if row is None else self._again(event, row)

    def _first(self, event: Event) -> Outcome:
        wallet = self._wallets.get(event.account_id)
        if wallet is None:
            return Outcome(None, refusal=charge_refusals.unknown_user(event))
        try:
            row = priced(event, wallet, self._book, self._now_ms)
        except Refusal as refusal:
            return Outcome(None, refusal=refusal)
        row.id = next(self._ids)
        verdict: Verdict | None = Verdict.NOTE
        if not event.is_billed_elsewhere:
            verdict = self._judge(row, wallet)
        if verdict is None:
            return self._wait(event, wallet)
        if verdict is Verdict.CHARGE:
            self._charge(row, wallet)
        row.state = _STATES[verdict]
        row.balance_micros = wallet.balance_micros
        self._new.append(row)
        if event.is_run or event.is_estimated:
            row.report(event.reporter, event.told)
        self._learn_names(event, row)
        return Outcome(verdict, row)

    def _again(self, event: Event, row: Row) -> Outcome | None:
        """An event that has its charge already."""
        verdict = judge_known(event, row.known)
        if verdict is Verdict.CONFLICT:
            if is_browsers_word(row.known) and event.source is not Source.BROWSER:
                return self._take_over(event, row)
            return Outcome(verdict, row, charge_refusals.conflict(row))
        self._learn_names(event, row)
        if verdict is Verdict.REPEAT:
            return Outcome(verdict, row)
        if verdict is Verdict.CHARGE:
            return self._retry(event, row)
        if verdict is Verdict.ADJUST and row.state not in _CLOSED:
            return None
        return self._note(event, row)

    def _take_over(self, event: Event, row: Row) -> Outcome:
        """A browser named somebody else's event first: that must not make it free for them."""
        names = [one for one in names_of([event]) if self._known.get(one) is row]
        stored = [one for one in names if one not in self._aliases]
        for one in names:
            del self._known[one]
        outcome = self._first(event)
        if outcome.row is None:
            self._known.update(dict.fromkeys(names, row))
        else:
            self._moved += [(one, row.id, self._aliases.pop(one)) for one in stored]
        return outcome

    def _note(self, event: Event, row: Row) -> Outcome:
        if event.reporter != row.known.reporter:
            row.report(event.reporter, event.told)
            self._changed[row.id] = row
        return Outcome(Verdict.NOTE, row)

    def _retry(self, event: Event, row: Row) -> Outcome:
        """It was unpaid; it costs what it did then."""
        self._note(event, row)
        wallet = self._wallets[row.account_id]
        verdict = self._judge(row, wallet)
        if verdict is None:
            return self._wait(event, wallet)
        if verdict is Verdict.CHARGE:
            self._charge(row, wallet)
            row.state = _CHARGED
            self._changed[row.id] = row
        return Outcome(verdict, row)

    def _hint(self, event: Event, row: Row | None) -> Outcome:
        """A browser's word claims no name of the event: a server-side source will."""
        if self._policy.browser_trust is Trust.OFF:
            return Outcome(None, refusal=charge_refusals.not_taken())
        hints = msgspec.structs.replace(
            event,
            aliases=tuple((HINT, event_id) for _, event_id in event.aliases),
            is_billed_elsewhere=True,
        )
        if row is None:
            row = next((self._known[one] for one in names_of([hints]) if one in self._known), None)
        if row is None:
            return self._first(hints)
        if judge_known(event, row.known) is Verdict.CONFLICT:
            return Outcome(Verdict.CONFLICT, row, charge_refusals.conflict(row))
        return self._note(event, row)

    def _judge(self, row: Row, wallet: Wallet) -> Verdict | None:
        """None: it can be paid once gateways have given back what they leased."""
        wanted = Cost(row.micros, row.output_micros)
        verdict = judge_cost(wanted, wallet.free_micros, wallet.floor_micros, self._policy)
        if verdict is Verdict.UNPAID and self._may_recall and wallet.leased_micros:
            at_best = wallet.free_micros + wallet.leased_micros
            if judge_cost(wanted, at_best, wallet.floor_micros, self._policy) is Verdict.CHARGE:
                return None
        return verdict

    def _wait(self, event: Event, wallet: Wallet) -> Outcome:
        outcome = Outcome(None, wallet_id=wallet.id)
        for kind, event_id in event.aliases:
            self._waiting[event.instance, kind, event_id] = outcome
        return outcome

    def _charge(self, row: Row, wallet: Wallet) -> None:
        wallet.charge(row.micros, self._now_ms, row.id)
        row.balance_micros = wallet.balance_micros

    def _learn_names(self, event: Event, row: Row) -> None:
        for kind, event_id in event.aliases:
            name = (event.instance, kind, event_id)
            if name not in self._known:
                self._known[name] = row
                self._aliases[name] = row

    # --- a correction ---

    async def adjust(self, tx: Tx, event: Event) -> Outcome:
        """A better source disagrees: the charge becomes what it says, under the same versions."""
        row = next(self._known[name] for name in names_of([event]) if name in self._known)
        wallet = self._wallets[row.account_id]
        try:
            wanted = await repriced(tx, event, row, wallet, self._book, self._now_ms)
        except Refusal as refusal:
            return Outcome(None, row, refusal)
        if wanted.micros > self._policy.charge_micros_max:
            return self._note(event, row)
        before_micros = row.micros - row.refunded_micros
        correct(row, wanted, event)
        self._changed[row.id] = row
        if row.state == _CHARGED:
            take_difference(row, before_micros, wallet, event, self._now_ms)
        elif row.state in (_UNPAID, _REVIEW):
            verdict = self._judge(row, wallet) or Verdict.UNPAID
            if verdict is Verdict.CHARGE:
                self._charge(row, wallet)
            row.state = _STATES[verdict]
        return Outcome(Verdict.ADJUST, row)


_STATES: Final = {
    Verdict.CHARGE: _CHARGED,
    Verdict.NOTE: _NOTED,
    Verdict.UNPAID: _UNPAID,
    Verdict.REVIEW: _REVIEW,
}
_CLOSED: Final = frozenset((_REFUNDED, State.REJECTED.value))
