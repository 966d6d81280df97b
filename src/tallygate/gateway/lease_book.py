"""What this worker has leased of which counters, and the exchange of that state with the clerk.

A request that finds units here costs no message. One that does not is parked on the lease that is
short, and every short lease is asked for in one Sync per loop tick; nothing is refused for lack of
units before the clerk has said, after this request came, that there are none.
"""

from collections import deque
from collections.abc import Callable

from tallygate.core.limits import Limit
from tallygate.core.ports import Answer, Sync, Synced
from tallygate.core.windows import window_at
from tallygate.gateway.lease import UNLEASED, Allowance, Lease, Parked, Taken, is_divisible, kind_of
from tallygate.journal.slab import Slab

IDLE_RETURN_MS = 1_000
AHEAD_MS = 5_000


class LeaseBook:
    """All leases of one worker."""

    def __init__(
        self,
        slab: Slab,
        send: Callable[[Sync], bool],
        schedule: Callable[[Callable[[], None]], object],
    ) -> None:
        self._slab = slab
        self._send = send  # False: there is no clerk at the moment
        self._schedule = schedule
        self._allowances: dict[int, Allowance] = {}
        self._leases: dict[tuple[int, int], Lease] = {}
        self._void: list[Lease] = []  # reset while requests still ran on them
        self._dirty: set[tuple[int, int]] = set()
        self._is_flush_scheduled = False
        self._asked: dict[int, list[Lease]] = {}
        self._sync_id = 0
        self.refills = 0

    def __len__(self) -> int:
        return len(self._leases)

    # --- admission's side ---

    def allowance(self, limit: Limit, now_ms: int) -> Allowance:
        """The allowance of a limit; whoever else is under the same limit shares it."""
        allowance = self._allowances.get(limit.id)
        if allowance is None:
            allowance = self._allowances[limit.id] = Allowance(limit)
            self.roll(allowance, now_ms)
        elif allowance.limit != limit:
            self._change_limit(allowance, limit, now_ms)
        return allowance

    def roll(self, allowance: Allowance, now_ms: int) -> None:
        """Go on to the window that holds `now_ms`."""
        limit = allowance.limit
        start_s, end_s = window_at(limit.span, limit.zone, now_ms // 1000)
        allowance.window_s, allowance.end_ms = start_s, end_s * 1000
        upcoming, allowance.next_lease = allowance.next_lease, None
        if limit.amount is None:
            allowance.lease = None
        elif upcoming is not None and upcoming.window_s == start_s:
            allowance.lease = upcoming
        else:
            allowance.lease = self._lease(limit, start_s, end_s * 1000)

    def park(self, parked: Parked, lease: Lease, need: int) -> None:
        """Wait for units of this lease, of which `need` are wanted in all."""
        lease.waiting.append(parked)
        self.ask(lease, need)

    def ask(self, lease: Lease, need: int) -> None:
        lease.need += need
        if not lease.least or need < lease.least:
            lease.least = need
        self._touch(lease)

    def take(self, plan: list[Taken], now_ms: int) -> None:
        """Reserve all of it, and count it where a successor of this process will find it."""
        counts = self._slab.counts
        for _, lease, _, amount in plan:
            if lease is not None:
                lease.available -= amount
                lease.reserved += amount
                lease.last_used_ms = now_ms
                counts[lease.slab_index] += amount

    # --- the clerk's side ---

    def answered(self, synced: Synced) -> None:
        leases = self._asked.pop(synced.id, None)
        if leases is None:
            return  # asked before a reconnect; it has been asked again
        if not synced.is_store_available:
            for lease in leases:
                lease.is_asking = False
                for parked in lease.everyone():
                    parked.store_gone()
            return
        for lease, answer in zip(leases, synced.answers, strict=True):
            self._apply(lease, answer)
        for lease, answer in zip(leases, synced.answers, strict=True):
            asked, lease.asked = lease.asked, deque()
            concluded = lease if answer.is_short and not lease.has_returned_since else None
            for parked in asked:
                parked.units_answered(concluded)
            if lease.waiting and (lease.available > 0 or lease.is_final or self._is_old(lease)):
                for parked in lease.everyone():
                    parked.units_answered(None)
        if self._dirty:
            self._schedule_flush()  # what was touched while it was being asked for

    def recall(self, counters: list[tuple[int, int]]) -> None:
        """Give back what no request holds; answer even when that is nothing."""
        for key in counters:
            lease = self._leases.get(key)
            if lease is not None and not lease.waiting and not lease.asked:
                lease.give_back()
                lease.is_final = False
                self._touch(lease)

    def limit_changed(self, limit_id: int) -> None:
        """Another amount is in force: give back, and ask afresh under it."""
        for lease in list(self._leases.values()):
            if lease.limit_id == limit_id:
                lease.give_back()
                lease.is_final = False
                self._touch(lease)

    def counter_reset(self, limit_id: int, window_s: int) -> None:
        """The counter began anew; the answer to this Sync replaces what was leased before."""
        lease = self._leases.get((limit_id, window_s))
        if lease is not None:
            lease.is_final = False
            self._touch(lease)

    def reconnected(self) -> None:
        """A new clerk, or the same one again: tell it everything that is open."""
        self._asked.clear()
        for lease in list(self._leases.values()):  # who waited may open others
            lease.is_asking = False
            for parked in lease.everyone():
                parked.units_answered(None)
            self._touch(lease)

    # --- four times a second ---

    def sweep(self, now_ms: int) -> None:
        for key, lease in list(self._leases.items()):
            if lease.is_asking:
                continue
            if lease.end_ms <= now_ms:
                self._close(key, lease)
            elif lease.available > 0 and now_ms - lease.last_used_ms > IDLE_RETURN_MS:
                lease.give_back()
                lease.is_final = False
                self._touch(lease)
        for lease in [lease for lease in self._void if not lease.reserved]:
            self._void.remove(lease)
            self._release_record(lease)
        self._lease_ahead(now_ms)
        if self._dirty:
            self._schedule_flush()

    def give_back_all(self) -> None:
        """The worker ends: units that nobody holds go home at once."""
        for lease in self._leases.values():
            lease.give_back()
            self._touch(lease)

    def forget_unused(self, in_use: set[int]) -> None:
        """Drop the allowances of limits whose keys are no longer known; open leases go on."""
        for limit_id in [one for one in self._allowances if one not in in_use]:
            del self._allowances[limit_id]

    # --- inside ---

    def _lease(self, limit: Limit, window_s: int, end_ms: int) -> Lease:
        lease = self._leases.get((limit.id, window_s))
        if lease is None:
            lease = self._leases[limit.id, window_s] = Lease(
                limit.id, limit.amount, window_s, end_ms, is_divisible=is_divisible(limit)
            )
        return lease

    def _change_limit(self, allowance: Allowance, limit: Limit, now_ms: int) -> None:
        allowance.limit = limit
        allowance.kind = kind_of(limit)
        self.roll(allowance, now_ms)
        if allowance.lease is not None:
            allowance.lease.amount = limit.amount
            allowance.lease.is_final = False

    def _lease_ahead(self, now_ms: int) -> None:
        """Lease the next window of what is in use, so that its first request need not wait."""
        for allowance in self._allowances.values():
            lease = allowance.lease
            if (
                lease is None
                or allowance.next_lease is not None
                or not now_ms < allowance.end_ms <= now_ms + AHEAD_MS
                or now_ms - lease.last_used_ms > AHEAD_MS
            ):
                continue
            limit = allowance.limit
            start_s, end_s = window_at(limit.span, limit.zone, allowance.end_ms // 1000)
            upcoming = allowance.next_lease = self._lease(limit, start_s, end_s * 1000)
            upcoming.last_used_ms = allowance.end_ms  # idle from then on, not from now
            self.ask(upcoming, 1)

    def _close(self, key: tuple[int, int], lease: Lease) -> None:
        if lease.reserved or lease.waiting or lease.asked:
            return
        if lease.lease_id == UNLEASED:
            del self._leases[key]
            return
        lease.give_back()
        lease.is_closing = True
        self._touch(lease)

    def _release_record(self, lease: Lease) -> None:
        if lease.slab_index:
            self._slab.release(lease.slab_index)
            lease.slab_index = 0

    def _is_old(self, lease: Lease) -> bool:
        """Another lease of the same counter has taken its place."""
        return self._leases.get((lease.limit_id, lease.window_s)) is not lease

    def _touch(self, lease: Lease) -> None:
        self._dirty.add((lease.limit_id, lease.window_s))
        self._schedule_flush()

    def _schedule_flush(self) -> None:
        if not self._is_flush_scheduled:
            self._is_flush_scheduled = True
            self._schedule(self._flush)

    def _flush(self) -> None:
        self._is_flush_scheduled = False
        keys = sorted(
            key for key in self._dirty if key in self._leases and not self._leases[key].is_asking
        )
        if not keys:
            self._dirty &= self._leases.keys()
            return
        leases = [self._leases[key] for key in keys]
        self._sync_id += 1
        if not self._send(Sync(self._sync_id, [lease.ask() for lease in leases])):
            return  # all that is open is told to the next clerk anyway
        self.refills += 1
        self._asked[self._sync_id] = leases
        self._dirty.difference_update(keys)
        for lease in leases:
            lease.is_asking = True
            lease.need = lease.least = 0
            lease.asked, lease.waiting = lease.waiting, deque()

    def _apply(self, lease: Lease, answer: Answer) -> None:
        lease.is_asking = False
        if lease.is_closing:
            del self._leases[lease.limit_id, lease.window_s]
            self._release_record(lease)
            return
        if answer.lease_id != lease.lease_id:
            if lease.lease_id == UNLEASED:
                self._begin_lease(lease, answer)
            else:
                lease = self._replace(lease, answer)
        if answer.granted > lease.granted:
            lease.learn_granted(answer.granted)
        lease.used = answer.used
        lease.is_final = answer.is_final and not lease.has_returned_since

    def _begin_lease(self, lease: Lease, answer: Answer) -> None:
        lease.lease_id = answer.lease_id
        lease.generation = answer.generation
        if answer.lease_id != UNLEASED:  # nothing could be granted, so nothing was opened
            lease.slab_index = self._slab.open(answer.lease_id)

    def _replace(self, lease: Lease, answer: Answer) -> Lease:
        """The counter was reset: what was leased of it is void, though requests may still run."""
        allowance = self._allowances.get(lease.limit_id)
        fresh = Lease.like(lease)
        self._leases[lease.limit_id, lease.window_s] = fresh
        if allowance is not None and allowance.lease is lease:
            allowance.lease = fresh
        if allowance is not None and allowance.next_lease is lease:
            allowance.next_lease = fresh
        if lease.reserved:
            self._void.append(lease)
        else:
            self._release_record(lease)
        self._begin_lease(fresh, answer)
        return fresh
