"""The journals of this node's workers, living and dead, as the clerk follows them.

A `Life` is one boot of one worker: its folder, its tail, how far the store has settled it, and,
once its lock could be taken, the certainty that it is over.
"""

from pathlib import Path

from tallygate.journal.folder import Lock
from tallygate.journal.frames import Identity, Position
from tallygate.journal.reader import Tail


class Life:
    __slots__ = (
        "batch",
        "boot_id",
        "corruptions",
        "folder",
        "identity",
        "is_closed",
        "is_dead",
        "lock",
        "position",
        "refused",
        "settled",
        "tail",
    )

    def __init__(
        self, folder: Path, identity: Identity, boot_id: int, position: Position, corrupt: Path
    ) -> None:
        self.folder = folder
        self.identity = identity
        self.boot_id = boot_id
        self.position = position
        self.tail = Tail(folder, identity, corrupt)
        self.lock = Lock(folder / "lock")
        self.is_dead = False
        self.is_closed = False
        self.refused = ""  # why its journal can not be settled into this store
        self.batch = 64  # rows per transaction; grows and shrinks with the store's speed
        self.settled = 0
        self.corruptions = 0

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else "dead" if self.is_dead else "alive"
        return f"<Life {self.identity.slot}/{self.identity.boot} {state}>"

    @property
    def key(self) -> tuple[int, int]:
        return self.identity.slot, self.identity.boot

    @property
    def is_open(self) -> bool:
        return not self.is_closed and not self.refused

    def find_out_death(self) -> bool:
        """True if its worker has died since; the lock is ours from then on."""
        if self.is_dead or not self.lock.take():
            return False
        self.is_dead = True
        return True
