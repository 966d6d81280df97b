"""Lease syncs of the own workers: answered together, and recalled from others when units run short.

Every `Sync` that waits is part of one job of the writer, its asks in the order of counters. One
that comes short while others hold units of the counter is parked in a `_Round`: all holders are
asked to give back what they do not need, and each answer of theirs lets the parked try again.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tallygate.clerk.peers import Peer
from tallygate.clerk.waiting_syncs import Counter, Waiting, turn
from tallygate.clerk.writer import Rank, Writer
from tallygate.core.ports import Recall, Sync, Synced
from tallygate.store import leases
from tallygate.store.database import Tx
from tallygate.store.leases import BootEnded, LeaseState

RECALL_S = 0.25
RETRY_S = 0.05  # other nodes return units without telling us

Register = Callable[[Tx, int, Peer], Awaitable[int]]


@dataclass(slots=True, eq=False)
class _Round:
    """One recall of one counter, shared by everyone who is short of it."""

    waiting: set[Waiting] = field(default_factory=set)
    asked: set[Peer] = field(default_factory=set)  # and have not answered
    answered: set[Peer] = field(default_factory=set)  # and were granted nothing since
    is_published: bool = False


@dataclass(slots=True)
class _Done:
    """What a committed transaction did. Empty: it did nothing."""

    boot_ids: dict[Peer, int] = field(default_factory=dict)
    states: list[tuple[Waiting, int, LeaseState]] = field(default_factory=list)
    refused: set[Waiting] = field(default_factory=set)


class Leases:
    def __init__(
        self,
        writer: Writer,
        register: Register,
        has_other_nodes: Callable[[], bool],
        publish_recall: Callable[[Counter], None],
    ) -> None:
        self._writer = writer
        self._register = register
        self._has_other_nodes = has_other_nodes
        self._publish_recall = publish_recall
        self._incoming: set[Waiting] = set()
        self._rounds: dict[Counter, _Round] = {}
        self._holders: dict[Counter, set[Peer]] = {}
        self._wake = asyncio.Event()
        self._orders = itertools.count()
        self.syncs = 0
        self.recalls = 0

    def sync(self, peer: Peer, sync: Sync) -> None:
        """A worker's state and needs; answered once all is granted or nothing more can come."""
        deadline_s = asyncio.get_running_loop().time() + RECALL_S
        places = set(range(len(sync.asks)))
        self._incoming.add(Waiting(peer, sync, next(self._orders), deadline_s, places))
        for ask in sync.asks:
            self._heard_of(peer, (ask.limit_id, ask.window_s), is_in_need=ask.need > 0)
        self._wake.set()

    def recall(self, counter: Counter) -> None:
        """Another node is short."""
        for peer in self._holders.get(counter, ()):
            self._ask_back(peer, counter)

    def recall_limit(self, limit_id: int) -> None:
        """Its amount was lowered: what is leased beyond it comes back as fast as can be."""
        for counter in self._holders:
            if counter[0] == limit_id:
                self.recall(counter)

    def forget(self, peer: Peer) -> None:
        """The worker is gone; its successor will settle what it held."""
        self._incoming = {waiting for waiting in self._incoming if waiting.peer is not peer}
        for counter, holders in list(self._holders.items()):
            holders.discard(peer)
            if not holders:
                del self._holders[counter]
        for counter, round_ in list(self._rounds.items()):
            round_.waiting = {one for one in round_.waiting if one.peer is not peer}
            round_.asked.discard(peer)
            if not round_.waiting:
                del self._rounds[counter]
        self.retry_all()

    def learn_held(self, peer: Peer, counters: list[Counter]) -> None:
        """What a worker that outlived an earlier clerk holds, as the store knows it."""
        for counter in counters:
            self._holders.setdefault(counter, set()).add(peer)

    def retry_all(self) -> None:
        """Units may have become free: a dead worker was settled, a counter reset."""
        for round_ in self._rounds.values():
            self._incoming |= round_.waiting
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled: one job of the writer after the other, each with all that waits."""
        loop = asyncio.get_running_loop()
        while True:
            pause_s = None
            if self._rounds:
                due_s = min(one.deadline_s for r in self._rounds.values() for one in r.waiting)
                pause_s = max(0.0, due_s - loop.time())
                pause_s = min(pause_s, RETRY_S) if self._has_other_nodes() else pause_s
            try:
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            except TimeoutError:
                for round_ in self._rounds.values():
                    self._incoming |= round_.waiting
            self._wake.clear()
            if self._incoming:
                await self._serve(self._incoming)

    async def _serve(self, batch: set[Waiting]) -> None:
        self._incoming = set()
        now_s = asyncio.get_running_loop().time()
        try:
            done = await self._writer.do(
                "lease syncs",
                lambda tx, now_ms: self._sync_all(tx, now_ms, batch),
                rank=Rank.LEASES,
                is_repeatable=True,
            )
        except Exception:  # the writer has logged it
            done = _Done()
        self.syncs += len(batch)
        for peer, boot_id in done.boot_ids.items():
            peer.boot_id = boot_id
        for waiting, place, state in done.states:
            waiting.states[place] = state
        for waiting in done.refused:
            waiting.peer.dismiss()
        for waiting in batch:
            if waiting in done.refused or any(n not in waiting.states for n in waiting.open):
                self._unpark(waiting)
                waiting.peer.send(Synced(waiting.sync.id, False, []))
            else:
                self._settle_down(waiting, is_over=waiting.deadline_s <= now_s)

    async def _sync_all(self, tx: Tx, now_ms: int, batch: set[Waiting]) -> "_Done":
        """Counters in order; of one counter, who gives back comes before who needs.

        Nothing is changed but the store: the transaction may yet fail, and be tried again.
        """
        done = _Done()
        work = [(waiting, place) for waiting in batch for place in waiting.open]
        for waiting, place in sorted(work, key=turn):
            peer = waiting.peer
            boot_id = peer.boot_id or done.boot_ids.get(peer, 0)
            if not boot_id:
                boot_id = done.boot_ids[peer] = await self._register(tx, now_ms, peer)
            try:
                state = await leases.sync(
                    tx, boot_id, waiting.ask_at(place), now_ms, is_last=waiting.is_last
                )
            except BootEnded:
                done.refused.add(waiting)
                continue
            done.states.append((waiting, place, state))
        return done

    def _settle_down(self, waiting: Waiting, *, is_over: bool) -> None:
        """Answer what is complete, park what is short and may still get something."""
        self._note_holder(waiting)
        self._unpark(waiting)
        states = waiting.states
        short = {n for n in waiting.open if states[n].shortage and states[n].leased_elsewhere}
        waiting.open = short
        if short and not waiting.is_last and waiting.peer.is_open:
            if not is_over:
                hopeful = [n for n in short if self._park(waiting, waiting.counter_at(n))]
                if hopeful:
                    return
                self._unpark(waiting)
            if any(states[place].rest for place in short):
                waiting.is_last = True
                self._incoming.add(waiting)
                self._wake.set()
                return
        waiting.peer.send(Synced(waiting.sync.id, True, waiting.answers()))

    def _park(self, waiting: Waiting, counter: Counter) -> bool:
        """Recall from all holders; False when everybody has answered already.

        A holder that is short of the same counter itself has nothing to spare.
        """
        round_ = self._rounds.setdefault(counter, _Round())
        round_.waiting.add(waiting)
        short = {other.peer for other in round_.waiting}
        for peer in self._holders.get(counter, set()) - round_.asked - round_.answered - short:
            round_.asked.add(peer)
            self._ask_back(peer, counter)
        if self._has_other_nodes():
            if not round_.is_published:
                round_.is_published = True
                self._publish_recall(counter)
            return True
        return bool(round_.asked - short)

    def _unpark(self, waiting: Waiting) -> None:
        for place in range(len(waiting.sync.asks)):
            counter = waiting.counter_at(place)
            round_ = self._rounds.get(counter)
            if round_ is not None:
                round_.waiting.discard(waiting)
                if not round_.waiting:
                    del self._rounds[counter]

    def _heard_of(self, peer: Peer, counter: Counter, *, is_in_need: bool) -> None:
        """It may have given something back: whoever is short of this counter tries again.

        An ask without a need says that the worker kept nothing that no request holds; one with a
        need may have been on its way before our recall reached the worker.
        """
        round_ = self._rounds.get(counter)
        if round_ is not None:
            if not is_in_need:
                round_.asked.discard(peer)
                round_.answered.add(peer)
            self._incoming |= round_.waiting

    def _note_holder(self, waiting: Waiting) -> None:
        for place in waiting.open:
            counter, ask = waiting.counter_at(place), waiting.sync.asks[place]
            state = waiting.states[place]
            holders = self._holders.setdefault(counter, set())
            if ask.is_closing or not state.lease_id:
                holders.discard(waiting.peer)
            else:
                holders.add(waiting.peer)
            if not holders:
                del self._holders[counter]
            round_ = self._rounds.get(counter)
            if round_ is not None and ask.need and state.granted > ask.granted:
                round_.answered.discard(waiting.peer)

    def _ask_back(self, peer: Peer, counter: Counter) -> None:
        self.recalls += 1
        peer.send(Recall([counter]))
