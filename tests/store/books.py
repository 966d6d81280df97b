"""What the tests of the books share: a worker as the gateway is one, and entries to settle."""

import random
from dataclasses import dataclass, field

import sqlalchemy as sa

from tallygate.core.entry import Attempt, Entry, Outcome, Use
from tallygate.core.leases import Holding
from tallygate.core.limits import Dimension
from tallygate.core.ports import Ask
from tallygate.core.windows import Span
from tallygate.store import keys, leases, limits, nodes, settle
from tallygate.store.database import Database
from tallygate.store.schema import lease

NOW_MS = 1_790_000_000_000
WINDOW_S = 1_789_948_800


async def make_key(
    db: Database, amount: int | None, *, user_id: str = "", dimension: str = "requests"
) -> tuple[int, int]:
    """A key with one daily limit: their ids."""
    async with db.writing() as tx:
        key_id = await keys.insert_key(tx, kind="roc", label="k", now_ms=NOW_MS, user_id=user_id)
        what = limits.NewLimit(Dimension(dimension), Span.DAY, "UTC", amount)
        limit_id = await limits.insert(tx, "key", str(key_id), what, NOW_MS, is_daily=True)
    return key_id, limit_id


async def make_boot(db: Database, *, slot: int = 0, boot: int = 1, node: str = "n1") -> int:
    async with db.writing() as tx:
        await nodes.register_node(tx, node, node, NOW_MS)
        return (await nodes.register_boot(tx, node, slot, boot, NOW_MS)).id


async def ask(
    db: Database,
    boot_id: int,
    limit_id: int,
    need: int,
    *,
    lease_id: int = 0,
    granted: int = 0,
    returned: int = 0,
    is_closing: bool = False,
    least: int = 0,
    is_last: bool = False,
) -> leases.LeaseState:
    async with db.writing() as tx:
        message = Ask(limit_id, WINDOW_S, lease_id, need, granted, returned, is_closing, least)
        return await leases.sync(tx, boot_id, message, NOW_MS, is_last=is_last)


def entry(*uses: Use, key_id: int = 1, number: int = 0, at_ms: int = NOW_MS) -> Entry:
    return Entry(
        request_id=f"r{number}",
        tenant_id=1,
        key_id=key_id,
        user_id="",
        admitted_ms=at_ms,
        duration_ms=5,
        first_byte_ms=2,
        route="/v1/chat/completions",
        model="m",
        provider="p",
        status=200,
        outcome=Outcome.OK,
        source="reported",
        is_counted=True,
        counts={"input_tokens": 3, "output_tokens": 4},
        uses=list(uses),
        address="192.0.2.1",
        agent="test",
        bytes_in=10,
        bytes_out=20,
        attempts=[Attempt("p", 200, 5)],
    )


async def used(db: Database, limit_id: int) -> limits.Used:
    async with db.reading() as tx:
        return await limits.used(tx, limit_id, WINDOW_S)


async def outstanding_of_leases(db: Database, limit_id: int) -> int:
    """Sum of max(0, outstanding) of the leases of a counter's present generation."""
    generation = (await used(db, limit_id)).generation
    async with db.reading() as tx:
        query = sa.select(lease).where(
            lease.c.limit_id == limit_id, lease.c.generation == generation
        )
        rows = (await tx.execute(query)).all()
    return sum(max(0, row.granted - row.returned - row.spent) for row in rows)


@dataclass
class Worker:
    """One worker with one limit, as the gateway behaves: holding, slab, journal."""

    db: Database
    limit_id: int
    key_id: int
    boot_id: int
    holding: Holding = field(default_factory=lambda: Holding(0, 0))
    admitted: dict[int, int] = field(default_factory=dict)  # the slab
    journal: list[Entry] = field(default_factory=list)
    settled: int = 0
    running: list[tuple[Holding, int]] = field(default_factory=list)  # lease, reserved
    granted_requests: int = 0

    async def sync(self, need: int, *, times: int = 1, is_reply_lost: bool = False) -> int:
        """Ask; hear the answer unless it is lost. The shortage."""
        mine, state = self.holding, None
        for _ in range(times):
            state = await ask(
                self.db,
                self.boot_id,
                self.limit_id,
                need,
                lease_id=mine.lease_id,
                granted=mine.granted,
                returned=mine.returned,
            )
        assert state is not None
        if is_reply_lost:
            return need
        if state.lease_id != mine.lease_id:
            self.holding = mine = Holding(state.lease_id, state.generation)
        mine.learn_granted(state.granted)
        return state.shortage

    async def give_back(self) -> None:
        if self.holding.lease_id:
            self.holding.give_back()
            await self.sync(0)

    async def close_lease(self) -> None:
        mine = self.holding
        if not mine.lease_id or mine.reserved:
            return
        mine.give_back()
        await ask(
            self.db,
            self.boot_id,
            self.limit_id,
            0,
            lease_id=mine.lease_id,
            granted=mine.granted,
            returned=mine.returned,
            is_closing=True,
        )
        self.holding = Holding(0, 0)

    def admit(self, amount: int = 1) -> bool:
        mine = self.holding
        if mine.available < amount:
            return False
        mine.reserve(amount)
        self.admitted[mine.lease_id] = self.admitted.get(mine.lease_id, 0) + amount
        self.running.append((mine, amount))
        return True

    def finish(self, spent: int | None = None) -> int:
        """A request ends and is journaled; what it spent."""
        mine, reserved = self.running.pop(0)
        spent = reserved if spent is None else spent
        mine.settle(reserved, spent)
        place = (mine.lease_id, self.limit_id, WINDOW_S, mine.generation)
        self.journal.append(entry(Use(*place, reserved, spent), key_id=self.key_id))
        return spent

    async def settle(self, rng: random.Random | None = None) -> None:
        """All of the journal so far, or some of it."""
        end = len(self.journal)
        if rng is not None:
            end = rng.randint(self.settled, end)
        entries = self.journal[self.settled : end]
        async with self.db.writing() as tx:
            await settle.settle(tx, self.boot_id, (0, self.settled), (0, end), entries, NOW_MS)
        self.settled = end
