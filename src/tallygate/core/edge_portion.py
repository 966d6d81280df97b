"""What is published next of all that waits, within what a day allows: revocations go first.

A write that only adds something leaves a tenth of the day's writes alone, for what changes
something that lies there may revoke it. Where even that is spent, a token that was switched off is
deleted: its caller is refused with 401 in place of 403, but refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

RESERVED: Final = 10  # one part in so many
UNBOUNDED: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class Waiting:
    """A name that waits; `text` None: nothing is to be there."""

    name: str
    published: str  # the digest of what lies there, "" for nothing
    is_urgent: bool
    text: str | None = None
    digest: str = ""
    revokes: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """Writes and deletes that are left today, and how many writes are kept for urgent ones."""

    writes: int
    deletes: int
    reserved: int


@dataclass(slots=True)
class Portion:
    """`done` lie there already as they should."""

    writes: list[Waiting] = field(default_factory=list)
    deletes: list[Waiting] = field(default_factory=list)
    done: list[Waiting] = field(default_factory=list)
    left: int = 0  # for which there is no room today

    @property
    def is_empty(self) -> bool:
        return not (self.writes or self.deletes or self.done)


def room(per_day: int, writes: int, deletes: int) -> Room:
    """`per_day` 0: no bound. The other two are today's so far."""
    if not per_day:
        return Room(UNBOUNDED, UNBOUNDED, 0)
    return Room(max(0, per_day - writes), max(0, per_day - deletes), per_day // RESERVED)


def choose(waiting: Iterable[Waiting], space: Room) -> Portion:
    """In the order of `waiting`."""
    portion = Portion()
    for one in waiting:
        writes_left = space.writes - len(portion.writes)
        deletes_left = space.deletes - len(portion.deletes)
        wanted = "" if one.text is None else one.digest
        if wanted == one.published:
            portion.done.append(one)
        elif one.text is not None and writes_left > (0 if one.is_urgent else space.reserved):
            portion.writes.append(one)
        elif one.published and (one.text is None or one.revokes) and deletes_left > 0:
            portion.deletes.append(one)
        else:
            portion.left += 1
    return portion
