"""Syncs of workers that wait for units: what is still asked for, in which order, and the answer."""

from dataclasses import dataclass, field

from tallygate.clerk.peers import Peer
from tallygate.core.ports import Answer, Ask, Sync
from tallygate.store.counters import lock_order
from tallygate.store.leases import LeaseState

Counter = tuple[int, int]  # limit_id, window_s


@dataclass(slots=True, eq=False)
class Waiting:
    """A Sync that is not answered yet. `open`: the places of asks that are still to be tried."""

    peer: Peer
    sync: Sync
    order: int
    deadline_s: float
    open: set[int]
    states: dict[int, LeaseState] = field(default_factory=dict)
    is_last: bool = False  # nothing more can come back: the next answer stands

    def ask_at(self, place: int) -> Ask:
        """The ask as it stands after what was granted of it already."""
        ask = self.sync.asks[place]
        state = self.states.get(place)
        if state is None:
            return ask
        return Ask(
            limit_id=ask.limit_id,
            window_s=ask.window_s,
            lease_id=state.lease_id,
            need=state.shortage,
            granted=state.granted,
            returned=ask.returned if ask.lease_id == state.lease_id else 0,
            least=ask.least,
        )

    def counter_at(self, place: int) -> Counter:
        ask = self.sync.asks[place]
        return ask.limit_id, ask.window_s

    def answers(self) -> list[Answer]:
        return [_answer(self.states[place]) for place in range(len(self.sync.asks))]


def turn(work: tuple[Waiting, int]) -> tuple[tuple[bool, int, int], bool, int, int]:
    waiting, place = work
    need = waiting.sync.asks[place].need
    return lock_order(waiting.counter_at(place)), need > 0, waiting.order, place


def _answer(state: LeaseState) -> Answer:
    return Answer(
        lease_id=state.lease_id,
        generation=state.generation,
        granted=state.granted,
        is_short=state.shortage > 0,
        is_final=state.is_final,
        used=state.used,
    )
