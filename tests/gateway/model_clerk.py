"""A clerk in memory: the store's arithmetic of leases without the store, and answers on demand.

It is what a worker may rely on and no more: state in, state out, a counter that never gives out
more than its limit. A test holds its answers back, loses them, resets a counter, or takes it away.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tallygate.core.claims import Claim, Claimed, Fulfil, Fulfilled
from tallygate.core.deliveries import Deliver, Delivered, DeliveryAnswer
from tallygate.core.entry import Use
from tallygate.core.keys import hash_key
from tallygate.core.leases import chunk
from tallygate.core.limits import Limit
from tallygate.core.ports import (
    Answer,
    Ask,
    CredentialUse,
    FetchModels,
    Found,
    Gauges,
    Key,
    LookUp,
    Priced,
    Refreshed,
    Sync,
    Synced,
)
from tallygate.core.routes import Route
from tallygate.core.shares import Share, Shared
from tallygate.store import lease_decision


@dataclass
class Row:
    """One lease as the store knows it."""

    boot: int
    limit_id: int
    window_s: int
    generation: int
    granted: int = 0
    returned: int = 0
    spent: int = 0

    @property
    def outstanding(self) -> int:
        return self.granted - self.returned - self.spent


@dataclass
class Books:
    """Counters and leases; `amounts` by limit id."""

    amounts: dict[int, int] = field(default_factory=dict)
    spent: dict[tuple[int, int], int] = field(default_factory=dict)
    generations: dict[tuple[int, int], int] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    last_id: int = 100
    balances: dict[int, int] = field(default_factory=dict)  # of wallets

    def generation(self, counter: tuple[int, int]) -> int:
        return self.generations.setdefault(counter, 1)

    def used(self, counter: tuple[int, int]) -> int:
        """Spent and leased."""
        leased = sum(max(0, row.outstanding) for row in self.current(counter).values())
        return self.spent.get(counter, 0) + leased

    def current(self, counter: tuple[int, int]) -> dict[int, Row]:
        generation = self.generation(counter)
        return {
            lease_id: row
            for lease_id, row in self.rows.items()
            if (row.limit_id, row.window_s, row.generation) == (*counter, generation)
        }

    def sync(self, boot: int, ask: Ask) -> Answer:
        if ask.limit_id < 0 or ask.least:
            return self._sync_divisible(boot, ask)
        counter = (ask.limit_id, ask.window_s)
        current = self.current(counter)
        lease_id, row = ask.lease_id, current.get(ask.lease_id)
        if row is None:
            lease_id, row = next(
                ((one, row) for one, row in current.items() if row.boot == boot and not row.spent),
                (0, None),
            )
        elif ask.returned > row.returned:
            row.returned = ask.returned
        if ask.is_closing:
            return self._close(lease_id, row, ask)
        unseen = row.granted - (ask.granted if lease_id == ask.lease_id else 0) if row else 0
        need = max(0, ask.need - max(0, unseen))
        grant = 0
        if need:
            others = sum(1 for one in current.values() if one is not row)
            remaining = max(0, self.amounts[ask.limit_id] - self.used(counter))
            # What a debt overran is spent already: to grant it anew costs the counter nothing.
            grant = free = min(need, max(0, -row.outstanding)) if row is not None else 0
            if need > free:
                grant += chunk(need - free, remaining, others + 1)
        if row is None and grant:
            self.last_id += 1
            lease_id, row = self.last_id, Row(boot, *counter, self.generation(counter))
            self.rows[lease_id] = row
        if row is not None:
            row.granted += grant
        is_short = grant < need
        elsewhere = any(one.outstanding > 0 for one in current.values() if one is not row)
        return Answer(
            lease_id if row is not None else 0,
            self.generation(counter),
            row.granted if row is not None else 0,
            is_short,
            is_short and not elsewhere,
            self.used(counter),
        )

    def leased(self, limit_id: int) -> int:
        """Of a wallet."""
        rows = [row for row in self.rows.values() if row.limit_id == limit_id]
        return sum(max(0, row.outstanding) for row in rows)

    def _sync_divisible(self, boot: int, ask: Ask) -> Answer:
        """By the store's own decision: its rules are not simple enough to be written twice."""
        counter = (ask.limit_id, ask.window_s)
        rows = [
            lease_decision.Row(
                *(lease_id, row.boot, row.generation),
                *(row.granted, row.returned, row.spent, row.spent, False),
            )
            for lease_id, row in self.current(counter).items()
        ]
        source = self._source(ask.limit_id, counter)
        decision = lease_decision.decide(source, rows, boot, ask)
        lease_id = decision.row.id if decision.row is not None else 0
        if not lease_id and decision.grant:
            self.last_id += 1
            lease_id = self.last_id
            self.rows[lease_id] = Row(boot, *counter, source.generation)
        row = self.rows.get(lease_id, Row(boot, *counter, source.generation))
        row.granted += decision.grant
        row.returned += decision.returned
        is_short = decision.shortage > 0
        is_final = is_short and source.balance is None and not decision.leased_elsewhere
        used = self.used(counter)
        if source.balance is not None:
            used = decision.outstanding - source.balance
        return Answer(lease_id, source.generation, row.granted, is_short, is_final, used)

    def _source(self, limit_id: int, counter: tuple[int, int]) -> lease_decision.Source:
        if limit_id < 0:
            balance = self.balances.get(-limit_id, 0)
            return lease_decision.Source(1, 0, self.leased(limit_id), balance, balance)
        spent = self.spent.get(counter, 0)
        leased = self.used(counter) - spent
        generation = self.generation(counter)
        return lease_decision.Source(generation, spent, leased, self.amounts[limit_id])

    def _close(self, lease_id: int, row: Row | None, ask: Ask) -> Answer:
        counter = (ask.limit_id, ask.window_s)
        if row is not None:
            row.granted = min(row.granted, ask.granted)
            if row.outstanding <= 0:
                del self.rows[lease_id]
        granted = row.granted if row is not None else 0
        return Answer(lease_id, self.generation(counter), granted, False, False, self.used(counter))

    def settle(self, uses: list[Use]) -> None:
        """What a journal entry says."""
        for use in uses:
            counter = (use.limit_id, use.window_s)
            if use.limit_id < 0:
                self.balances[-use.limit_id] -= use.spent
                self.rows[use.lease_id].spent += use.spent
            elif use.generation == self.generation(counter):
                self.spent[counter] = self.spent.get(counter, 0) + use.spent
                if use.lease_id in self.rows:
                    self.rows[use.lease_id].spent += use.spent

    def reset(self, counter: tuple[int, int]) -> None:
        self.generations[counter] = self.generation(counter) + 1
        self.spent[counter] = 0


@dataclass
class ModelClerk:
    """One worker's clerk. It answers when `deliver` is called, unless it is held or away."""

    keys: dict[str, Key]
    books: Books = field(default_factory=Books)
    is_store_available: bool = True
    is_away: bool = False
    held: set[type] = field(default_factory=set)  # kinds of message that wait for their answer
    asked: list[Any] = field(default_factory=list)  # everything ever sent to it
    waiting: list[Any] = field(default_factory=list)
    claims: dict[str, Claimed] = field(default_factory=dict)
    delivery_answer: tuple[int, bytes] = (200, b'{"success":true}')
    templates: dict[int, Limit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.amounts_changed()

    def amounts_changed(self) -> None:
        limits = [limit for key in self.keys.values() for limit in key.limits]
        self.books.amounts |= {one.id: one.amount for one in limits if one.amount is not None}

    def amounts_of(self, routes: Iterable[Route]) -> None:
        """Limits of routes count too; a token's share of one gets an id of its own."""
        for route in routes:
            limits = (*route.limits, *route.token_limits)
            self.books.amounts |= {one.id: one.amount for one in limits if one.amount is not None}
            self.templates |= {one.id: one for one in route.token_limits}

    def _shared(self, message: Share) -> Shared:
        template = self.templates.get(message.limit_id)
        if template is None or not self.is_store_available:
            return Shared(message.id, None)
        share = msgspec.structs.replace(template, id=template.id * 1000 + message.key_id)
        self.books.amounts[share.id] = share.amount or 0
        return Shared(message.id, share)

    def sent(self, kind: type) -> list[Any]:
        return [one for one in self.asked if isinstance(one, kind)]

    def send(self, message: Any) -> bool:
        """The worker's line to us."""
        if self.is_away:
            return False
        self.asked.append(message)
        self.waiting.append(message)
        return True

    def deliver(self) -> list[Any]:
        """Answers to what is not held."""
        waiting, self.waiting = self.waiting, []
        self.waiting = [one for one in waiting if type(one) in self.held]
        answers = [self._answer(one) for one in waiting if type(one) not in self.held]
        return [one for one in answers if one is not None]

    def _answer(self, message: Any) -> Any:
        if isinstance(message, LookUp):
            found = None
            if self.is_store_available:
                hashes = {hash_key(secret.encode()): key for secret, key in self.keys.items()}
                found = hashes.get(message.key_hash)
            return Found(message.id, found, self.is_store_available)
        if isinstance(message, Sync):
            answers = []
            if self.is_store_available:
                answers = [self.books.sync(1, ask) for ask in message.asks]
            return Synced(message.id, self.is_store_available, answers)
        if isinstance(message, Share):
            return self._shared(message)
        if isinstance(message, FetchModels):
            return Refreshed(message.id)
        if isinstance(message, Deliver):
            return Delivered([DeliveryAnswer(message.id, *self.delivery_answer)])
        if isinstance(message, Claim):
            old = self.claims.get(message.idempotency_key)
            if old is None:
                return Claimed(message.id, "new", "", 0, "", None)
            return Claimed(message.id, *[getattr(old, name) for name in old.__struct_fields__[1:]])
        if isinstance(message, Fulfil):
            return Fulfilled([message.id])
        assert isinstance(message, CredentialUse | Gauges | Priced)
        return None
