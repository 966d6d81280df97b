"""Random histories of several workers that share a wallet: no point is promised to two requests.

Like test_lease_histories.py, with money: needs of any size, costs beyond what was set aside, and
top-ups. A worker that is alone refuses nobody whom the wallet could have served.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallygate.core.entry import Use
from tallygate.core.ports import Sync, Synced
from tallygate.gateway.admit import OverLimit, Taken, admit, settle
from tallygate.gateway.known_keys import KnownKey
from tallygate.gateway.lease import Lease, wallet_limit
from tallygate.gateway.lease_book import LeaseBook
from tests.gateway.bench_of_parts import key_with
from tests.gateway.model_clerk import Books
from tests.gateway.rig import NOON_MS
from tests.gateway.test_lease_histories import Slab

WALLET = 7
ACTIONS = ["call", "call", "call", "end", "end", "flush", "clerk", "hear", "settle", "lose"]
ACTIONS += ["recall", "wait", "top up", "talk", "talk", "talk"]
steps = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 2), st.integers(0, 40)),
    min_size=25,
    max_size=80,
)


class Call:
    """One request: it waits, is let through, or is refused."""

    def __init__(self, worker: "Worker", need: int) -> None:
        self.worker = worker
        self.need = need
        self.taken: list[Taken] | None = None
        self.is_refused = False

    def units_answered(self, concluded: Lease | None) -> None:
        worker = self.worker
        assert self.taken is None and not self.is_refused
        now_ms = worker.world.now_ms
        try:
            self.taken = admit(worker.book, self, worker.known, 1, now_ms, concluded, self.need)
        except OverLimit as over:
            assert over.need == self.need
            self.is_refused = True
            worker.world.refused(self.need)
        else:
            if self.taken is not None:
                worker.running.append(self)

    def store_gone(self) -> None:
        raise AssertionError("the store is always there")


class Worker:
    """A lease book, and what is on its way to and from the clerk."""

    def __init__(self, world: "World", boot: int) -> None:
        self.world = world
        self.boot = boot
        self.scheduled: list[Callable[[], None]] = []
        self.to_clerk: deque[Sync] = deque()
        self.from_clerk: deque[Synced] = deque()
        self.journal: deque[list[Use]] = deque()
        self.running: list[Call] = []
        self.slab: Any = Slab()
        self.book = LeaseBook(self.slab, self._send, self.scheduled.append)
        allowance = self.book.allowance(wallet_limit(WALLET), world.now_ms)
        self.known = KnownKey(key_with(wallet_id=WALLET), (allowance,))

    def _send(self, sync: Sync) -> bool:
        self.to_clerk.append(sync)
        return True

    def call(self, need: int) -> None:
        call = Call(self, max(1, need))
        self.world.calls.append(call)
        call.units_answered(None)

    def end(self, cost: int) -> None:
        if self.running:
            call = self.running.pop(cost % len(self.running))
            assert call.taken is not None
            self.world.spent += cost
            self.world.overrun += max(0, cost - call.need)
            self.journal.append(settle(call.taken, is_counted=True, tokens=0, micros=cost))

    def flush(self) -> None:
        scheduled, self.scheduled[:] = list(self.scheduled), []
        for callback in scheduled:
            callback()

    def clerk(self) -> None:
        if self.to_clerk:
            sync = self.to_clerk.popleft()
            answers = [self.world.books.sync(self.boot, ask) for ask in sync.asks]
            self.from_clerk.append(Synced(sync.id, True, answers))

    def hear(self) -> None:
        if self.from_clerk:
            self.book.answered(self.from_clerk.popleft())

    def talk(self) -> None:
        """A whole exchange with the clerk."""
        self.flush()
        self.clerk()
        self.hear()

    def settle(self) -> None:
        if self.journal:
            self.world.books.settle(self.journal.popleft())

    def lose(self) -> None:
        """The connection breaks; what was on it is gone, and all is told again."""
        self.to_clerk.clear()
        self.from_clerk.clear()
        self.book.reconnected()

    def recall(self) -> None:
        self.book.recall([(-WALLET, 0)])

    @property
    def reserved(self) -> int:
        return sum(lease.reserved for lease in self.book._leases.values())


class World:
    """All of it, and the auditor."""

    def __init__(self, micros: int, workers: int) -> None:
        self.now_ms = NOON_MS
        self.books = Books(balances={WALLET: micros})
        self.calls: list[Call] = []
        self.credited = micros
        self.spent = 0
        self.overrun = max(0, -micros)
        self.was_topped_up = False
        self.workers = [Worker(self, 1 + number) for number in range(workers)]

    def step(self, action: str, number: int, micros: int) -> None:
        worker = self.workers[number % len(self.workers)]
        if action == "wait":
            self.now_ms += micros * 100
            worker.book.sweep(self.now_ms)
        elif action == "top up":
            self.was_topped_up = True
            self.credited += micros
            self.books.balances[WALLET] += micros
        elif action in ("call", "end"):
            getattr(worker, action)(micros)
        else:
            getattr(worker, action)()

    @property
    def reserved(self) -> int:
        return sum(worker.reserved for worker in self.workers)

    def refused(self, need: int) -> None:
        if len(self.workers) == 1 and not self.was_topped_up:
            assert self.credited - self.spent - self.reserved < need

    def audit(self) -> None:
        assert self.reserved <= self.credited - self.spent + self.overrun
        balance = self.books.balances[WALLET]
        assert balance - self.books.leased(-WALLET) >= -self.overrun
        for worker in self.workers:
            for lease in worker.book._leases.values():
                outstanding = lease.granted - lease.returned - lease.spent
                assert lease.available + lease.reserved == outstanding

    def finish(self) -> None:
        """Everything arrives and ends: nobody waits any more, and the books agree."""
        for _ in range(50 + 4 * len(self.calls)):
            for worker in self.workers:
                worker.talk()
                self.audit()
        for call in self.calls:
            assert call.taken is not None or call.is_refused, "a call waits for ever"
        for worker in self.workers:
            while worker.running:
                worker.end(worker.running[0].need)
            while worker.journal:
                worker.settle()
            worker.book.give_back_all()
            worker.talk()
        assert self.books.balances[WALLET] == self.credited - self.spent
        for worker in self.workers:
            worker.book.sweep(self.now_ms)
            worker.recall()
            worker.talk()
            for lease in worker.book._leases.values():
                if lease.lease_id:
                    assert lease.balance_micros() == self.books.balances[WALLET]
        assert self.books.leased(-WALLET) == 0


@pytest.mark.parametrize("workers", [1, 3])
@given(history=steps, micros=st.integers(-10, 200))
@settings(max_examples=200, deadline=None)
def test_no_history_promises_money_twice_or_refuses_without_a_reason(
    workers: int, history: list[tuple[str, int, int]], micros: int
) -> None:
    """Whatever is lost, repeated or late; and nobody waits for ever."""
    world = World(micros, workers)
    for step in history:
        world.step(*step)
        world.audit()
    world.finish()
