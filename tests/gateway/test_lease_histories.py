"""Random histories of several workers and one clerk: nobody is let through beyond a limit.

Messages wait in their channels for as long as the history likes, are lost with a connection, and
counters are reset in between. What is checked at every step is what an auditor would: the units
that were really reserved and spent, whatever anybody believes to be leased.
"""

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallygate.core.entry import Use
from tallygate.core.limits import Limit
from tallygate.core.ports import Sync, Synced
from tallygate.gateway.admit import OverLimit, Taken, admit, settle
from tallygate.gateway.known_keys import KnownKey
from tallygate.gateway.lease import Lease
from tallygate.gateway.lease_book import LeaseBook
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.model_clerk import Books
from tests.gateway.rig import NOON_MS

WINDOW_S = NOON_MS // 1000 - 12 * 3600
TOKENS_MAX = 6
DIVISIBLE = 2  # the id of the limit of which requests need more than one
ACTIONS = ["call", "call", "end", "end", "flush", "clerk", "hear", "settle", "lose", "recall"]
ACTIONS += ["wait", "reset", "call", "flush", "talk", "talk", "talk"]
steps = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 2), st.integers(0, TOKENS_MAX)),
    min_size=25,
    max_size=80,
)
amounts = st.integers(0, 12)


class Slab:
    """Records in a list: at even places the lease, behind it what was admitted on it."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def open(self, lease_id: int) -> int:
        self.counts += [lease_id, 0]
        return len(self.counts) - 1

    def release(self, index: int) -> None:
        self.counts[index - 1] = 0


class Call:
    """One request: it waits, is let through, or is refused."""

    def __init__(self, worker: "Worker", tokens: int) -> None:
        self.worker = worker
        self.tokens = tokens
        self.taken: list[Taken] | None = None
        self.is_refused = False

    def units_answered(self, concluded: Lease | None) -> None:
        world = self.worker.world
        book, known = self.worker.book, self.worker.known
        assert self.taken is None and not self.is_refused
        try:
            self.taken = admit(book, self, known, self.tokens, world.now_ms, concluded, self.tokens)
        except OverLimit as over:
            self.is_refused = True
            world.refused(over.allowance.limit)
        else:
            if self.taken is not None:
                world.let_through(self.taken)
                self.worker.running.append(self)

    def store_gone(self) -> None:
        raise AssertionError("the store is always there")


class Worker:
    """A lease book, and what is on its way to and from the clerk."""

    def __init__(self, world: "World", boot: int, limits: list[Limit]) -> None:
        self.world = world
        self.boot = boot
        self.scheduled: list[Callable[[], None]] = []
        self.to_clerk: deque[Sync] = deque()
        self.from_clerk: deque[Callable[[], None]] = deque()
        self.journal: deque[list[Use]] = deque()
        self.running: list[Call] = []
        self.slab: Any = Slab()
        self.book = LeaseBook(self.slab, self._send, self.scheduled.append)
        allowances = tuple(self.book.allowance(limit, world.now_ms) for limit in limits)
        self.known = KnownKey(key_with(*limits), allowances)

    def _send(self, sync: Sync) -> bool:
        self.to_clerk.append(sync)
        return True

    def leases(self) -> list[Lease]:
        return [*self.book._leases.values(), *self.book._void]

    def call(self, tokens: int) -> None:
        call = Call(self, max(1, tokens))
        self.world.calls.append(call)
        call.units_answered(None)

    def end(self, tokens: int) -> None:
        """Some call ends: given back if it used no token, else counted."""
        if self.running:
            call = self.running.pop(tokens % len(self.running))
            assert call.taken is not None
            uses = settle(call.taken, is_counted=tokens > 0, tokens=tokens, points_micros=tokens)
            self.world.uses += [(self, use) for use in uses]
            self.journal.append(uses)

    def flush(self) -> None:
        scheduled, self.scheduled[:] = list(self.scheduled), []
        for callback in scheduled:
            callback()

    def clerk(self) -> None:
        if self.to_clerk:
            sync = self.to_clerk.popleft()
            answers = [self.world.books.sync(self.boot, ask) for ask in sync.asks]
            self.from_clerk.append(lambda: self.book.answered(Synced(sync.id, True, answers)))

    def hear(self) -> None:
        if self.from_clerk:
            self.from_clerk.popleft()()

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
        self.book.recall([(1, WINDOW_S), (2, WINDOW_S)])


class World:
    """All of it, and the auditor."""

    def __init__(self, limits: list[Limit], workers: int) -> None:
        self.now_ms = NOON_MS
        self.amounts = {limit.id: limit.amount or 0 for limit in limits}
        self.books = Books(dict(self.amounts))
        self.calls: list[Call] = []
        self.uses: list[tuple[Worker, Use]] = []
        self.is_alone = workers == 1
        self.was_reset = False
        self.workers = [Worker(self, 1 + number, limits) for number in range(workers)]

    def step(self, action: str, number: int, tokens: int) -> None:
        worker = self.workers[number % len(self.workers)]
        if action == "wait":
            self.now_ms += tokens * 250
            worker.book.sweep(self.now_ms)
        elif action == "reset":
            self.reset(1 + tokens % len(self.amounts))
        elif action in ("call", "end"):
            getattr(worker, action)(tokens)
        else:
            getattr(worker, action)()

    def reset(self, limit_id: int) -> None:
        self.was_reset = True
        self.books.reset((limit_id, WINDOW_S))
        for worker in self.workers:
            book = worker.book
            worker.from_clerk.append(lambda book=book: book.counter_reset(limit_id, WINDOW_S))

    def held(self) -> dict[tuple[int, int], int]:
        """By limit and generation: reserved now, or spent, by anybody."""
        held: dict[tuple[int, int], int] = defaultdict(int)
        for worker in self.workers:
            for lease in worker.leases():
                held[lease.limit_id, lease.generation] += lease.reserved
        for _, use in self.uses:
            held[use.limit_id, use.generation] += use.spent
        return held

    def overrun(self) -> dict[tuple[int, int], int]:
        """What requests have spent beyond what they had reserved."""
        overrun: dict[tuple[int, int], int] = defaultdict(int)
        for _, use in self.uses:
            overrun[use.limit_id, use.generation] += max(0, use.spent - use.reserved)
        return overrun

    def let_through(self, taken: list[Taken]) -> None:
        """Not when what is spent and reserved had reached the limit, however little is needed."""
        held, overrun = self.held(), self.overrun()
        for _, lease, _, amount in taken:
            assert lease is not None
            counter = (lease.limit_id, lease.generation)
            # The last one may have been let through with more than was left.
            before = held[counter] - amount
            assert before < self.amounts[lease.limit_id] + overrun[counter]

    def refused(self, limit: Limit) -> None:
        """With one worker all units are here or in the store, so a refusal has a reason."""
        if self.is_alone and not self.was_reset:
            assert self.held()[limit.id, 1] >= self.amounts[limit.id]

    def allowed(self, counter: tuple[int, int]) -> int:
        """What may be held of a counter; of one in tokens or points, a last one may need more."""
        last = TOKENS_MAX - 1 if counter[0] == DIVISIBLE else 0
        return self.amounts[counter[0]] + self.overrun()[counter] + last

    def audit(self) -> None:
        admitted: dict[tuple[int, int], int] = defaultdict(int)
        for worker, use in self.uses:
            admitted[worker.boot, use.lease_id] += use.reserved
        for counter, units in self.held().items():
            assert units <= self.allowed(counter)
        for worker in self.workers:
            for lease in worker.leases():
                outstanding = lease.granted - lease.returned - lease.spent
                assert lease.available + lease.reserved == outstanding
                if lease.slab_index:
                    expected = admitted[worker.boot, lease.lease_id] + lease.reserved
                    assert worker.slab.counts[lease.slab_index] == expected
        for counter in list(self.books.generations):
            spent = self.books.spent.get(counter, 0)
            assert spent <= self.allowed((counter[0], self.books.generation(counter)))

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
                worker.end(1)
            while worker.journal:
                worker.settle()
            assert {lease.reserved for lease in worker.leases()} <= {0}
        self.audit()
        for counter, spent in self.books.spent.items():
            generation = self.books.generation(counter)
            uses = [use for _, use in self.uses if use.limit_id == counter[0]]
            assert spent == sum(use.spent for use in uses if use.generation == generation)


@pytest.mark.parametrize("dimension", ["tokens", "points"])
@pytest.mark.parametrize("workers", [1, 3])
@given(history=steps, requests=amounts, amount=amounts)
@settings(max_examples=100, deadline=None)
def test_no_history_lets_more_through_than_the_limits(
    dimension: str, workers: int, history: list[tuple[str, int, int]], requests: int, amount: int
) -> None:
    """Whatever is lost, repeated, late or reset; and nobody waits for ever."""
    world = World([daily(1, requests), daily(2, amount, dimension)], workers)
    for step in history:
        world.step(*step)
        world.audit()
    world.finish()


def test_units_that_were_given_back_while_the_clerk_was_asked_refuse_nobody() -> None:
    """Its answer knows nothing of them; taken for the last word it refused a limit at zero."""
    world = World([daily(1, 1), daily(2, 1, "tokens")], 1)
    for action in (*["call"] * 2, "talk", "recall", *["call"] * 2, "end", "flush", "recall"):
        world.step(action, 0, 0)
    world.finish()  # asks of each refusal whether it had a reason
    assert [call.is_refused for call in world.calls] == [False, True, False, True]


@given(history=steps, requests=amounts)
@settings(max_examples=100, deadline=None)
def test_a_worker_that_is_alone_refuses_nobody_without_a_reason(
    history: list[tuple[str, int, int]], requests: int
) -> None:
    """Exactly N when nothing crashes."""
    world = World([daily(1, requests)], 1)
    for action, number, tokens in history:
        if action != "reset":
            world.step(action, number, tokens)
    world.finish()
    assert all(use.spent <= 1 for _, use in world.uses)
