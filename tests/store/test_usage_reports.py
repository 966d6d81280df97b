"""Reported uses on the books: a row each, once, for tokens we know, and last uses that are right.

Reports come late, twice and in any order, by way of several nodes; what stands in the end must not
depend on that.
"""

import asyncio
import hashlib
import random
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from tallygate.core.usage_report import RefusedReports, ReportedUse, UsageReport, event_of
from tallygate.store import keys, settle, usage_intake, usage_reports
from tallygate.store.database import Database
from tallygate.store.recent_events import RecentEvents
from tallygate.store.schema import usage
from tallygate.store.usage_intake import UNKNOWN_TOLD_APART_MAX, Row
from tallygate.store.usage_schema import usage_event
from tests.store.books import NOW_MS, entry, make_boot

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


def hash_of(name: str) -> bytes:
    return hashlib.sha256(f"ntk_{name}".encode()).digest()


def use(
    token: str = "a",
    at_ms: int = NOW_MS - 1000,
    event: str = "",
    route: str = "/api/x",
    status: int = 200,
) -> ReportedUse:
    name = event_of(event) if event else b""
    return ReportedUse(hash_of(token), route, at_ms, "203.0.113.7", "n8n", status, 12, name)


async def make_token(db: Database, *names: str, user_id: str = "") -> int:
    """A token with a secret for each name."""
    async with db.writing() as tx:
        key_id = await keys.insert_key(
            tx, kind="ntk", label=names[0], now_ms=NOW_MS, user_id=user_id
        )
        for name in names:
            await keys.add_secret(
                tx, key_id, key_hash=hash_of(name), masked="m", sealed=None, now_ms=NOW_MS
            )
    return key_id


class Journal:
    """One worker's reports, settled in the order in which they come."""

    def __init__(self, db: Database, boot_id: int) -> None:
        self.db = db
        self.boot_id = boot_id
        self.place = 0

    async def settle(
        self,
        *reports: Sequence[ReportedUse],
        now_ms: int = NOW_MS,
        recent: RecentEvents | None = None,
    ) -> None:
        made = []
        for number, uses in enumerate(reports):
            name = f"req_{self.boot_id}_{self.place}_{number}"
            made.append(UsageReport(name, 0, list(uses)))
        await self.settle_records(*made, now_ms=now_ms, recent=recent)

    async def settle_records(
        self, *reports: UsageReport, now_ms: int = NOW_MS, recent: RecentEvents | None = None
    ) -> None:
        old, new = (0, self.place), (0, self.place + 1)
        async with self.db.writing() as tx:
            await settle.settle(tx, self.boot_id, old, new, [], now_ms, reports, recent)
        self.place += 1


async def begin(db: Database, slot: int = 0, node: str = "n1") -> Journal:
    return Journal(db, await make_boot(db, slot=slot, node=node))


async def file_events(db: Database) -> None:
    """As upkeep asks for it; on PostgreSQL they are filed already."""
    recent = RecentEvents()
    if db.dialect == "sqlite":
        recent.file_soon()
    while recent.is_due:
        await recent.file(db)


async def rows(db: Database) -> list[tuple[int, str, int]]:
    async with db.reading() as tx:
        query = sa.select(usage.c.key_id, usage.c.route, usage.c.at_ms)
        return sorted(tuple(row) for row in await tx.execute(query))


async def intake(db: Database, since_ms: int = NOW_MS) -> dict[tuple[str, str], Row]:
    async with db.reading() as tx:
        return {(row.kind, row.detail): row for row in await usage_intake.read(tx, since_ms)}


async def last_used(db: Database, key_id: int) -> int | None:
    async with db.reading() as tx:
        view = await keys.find_view(tx, str(key_id))
    assert view is not None
    return view.last_used_ms


async def test_a_reported_use_is_a_row_like_any_other(store: Database) -> None:
    """With every column that a gateway fills for a use of its own of the same route."""
    key_id = await make_token(store, "a", user_id="ann")
    journal = await begin(store)
    await journal.settle([use(), use(status=502), use(status=404), use(status=0)])
    async with store.reading() as tx:
        found = (await tx.execute(sa.select(usage).order_by(usage.c.id))).all()
    first = found[0]
    assert (first.key_id, first.user_id, first.tenant_id) == (key_id, "ann", 1)
    assert (first.route, first.at_ms, first.status) == ("/api/x", NOW_MS - 1000, 200)
    assert (first.address, first.agent) == ("203.0.113.7", "n8n")
    assert (first.duration_ms, first.first_byte_ms) == (12, 12)
    assert (first.model, first.provider, first.source, first.counts) == ("", "", "", None)
    assert [row.outcome for row in found] == ["ok", "upstream_error", "upstream_error", "ok"]
    assert [row.requests for row in found] == [1, 0, 1, 1]
    assert len({row.request_id for row in found}) == 4
    assert all(row.request_id.startswith("req_") for row in found)


async def test_reports_and_requests_settle_together(store: Database) -> None:
    """A key that was used both ways was last used at the later of both."""
    key_id = await make_token(store, "a")
    boot_id = await make_boot(store)
    through_us = entry(key_id=key_id, at_ms=NOW_MS - 500)
    reports = [UsageReport("r", 0, [use(at_ms=NOW_MS - 900)])]
    async with store.writing() as tx:
        await settle.settle(tx, boot_id, (0, 0), (0, 1), [through_us], NOW_MS, reports)
    assert len(await rows(store)) == 2
    assert await last_used(store, key_id) == NOW_MS - 500


async def test_a_batch_that_is_settled_again_changes_nothing(store: Database) -> None:
    """A clerk that died after its commit reads the same journal again."""
    key_id = await make_token(store, "a")
    journal = await begin(store)
    await journal.settle([use(), use(event="e")])
    journal.place -= 1
    with pytest.raises(settle.StaleWatermark):
        await journal.settle([use(), use(event="e")])
    assert len(await rows(store)) == 2
    assert (await intake(store))["logged", ""].counted == 2
    assert await last_used(store, key_id) == NOW_MS - 1000


async def test_an_event_counts_once_whoever_tells_it(store: Database) -> None:
    """In one report, in the next, after a restart, by another node."""
    await make_token(store, "a")
    first, second = await begin(store), await begin(store, slot=0, node="n2")
    await first.settle([use(event="e"), use(event="e")], [use(event="e")])
    await first.settle([use(event="e"), use(event="f")])
    await second.settle([use(event="f"), use(event="e"), use(event="g")])
    assert len(await rows(store)) == 3
    counted = await intake(store)
    assert counted["logged", ""].counted == 3
    assert counted["repeated", ""].counted == 5


async def test_events_without_a_name_are_each_their_own(store: Database) -> None:
    await make_token(store, "a")
    journal = await begin(store)
    await journal.settle([use(), use()], [use()])
    assert len(await rows(store)) == 3


async def test_two_nodes_that_settle_the_same_events_at_once_make_one_row_each(
    store: Database,
) -> None:
    """Neither waits for the other for ever: both lock events in one order."""
    await make_token(store, "a")
    journals = [await begin(store, node=f"n{number}") for number in range(4)]
    names = [f"e{number}" for number in range(50)]
    forwards = [use(event=name) for name in names]
    backwards = forwards[::-1]
    await asyncio.gather(
        *(
            journal.settle(forwards if number % 2 else backwards)
            for number, journal in enumerate(journals)
        )
    )
    assert len(await rows(store)) == 50
    counted = await intake(store)
    assert (counted["logged", ""].counted, counted["repeated", ""].counted) == (50, 150)


async def test_more_events_than_one_query_names_are_told_apart(store: Database) -> None:
    key_id = await make_token(store, "a")
    journal = await begin(store)
    events = [use(event=f"e{number}") for number in range(2500)]
    await journal.settle(events[:1200])
    await journal.settle(events)
    assert len(await rows(store)) == 2500
    assert (await intake(store))["repeated", ""].counted == 1200
    assert await last_used(store, key_id) == NOW_MS - 1000


async def test_a_last_use_only_moves_forward(store: Database) -> None:
    """Late reports make their rows where they belong and do not turn the clock back."""
    key_id = await make_token(store, "a")
    journal = await begin(store)
    seen = []
    for at_ms in (NOW_MS - 5000, NOW_MS - 9000, 1_000_000_000_000, NOW_MS - 4000, 0):
        await journal.settle([use(at_ms=at_ms)])
        seen.append(await last_used(store, key_id))
    assert seen == [NOW_MS - 5000] * 3 + [NOW_MS - 4000] * 2
    assert [at_ms for _, _, at_ms in await rows(store)][:2] == [0, 1_000_000_000_000]


async def test_every_secret_that_a_token_ever_had_is_the_token(store: Database) -> None:
    """Rotated or deleted since: the use was one, and a deleted token's history stays."""
    key_id = await make_token(store, "old", "new")
    journal = await begin(store)
    async with store.writing() as tx:
        await keys.expire_secrets(tx, key_id, NOW_MS - DAY_MS)
        await keys.delete(tx, key_id, NOW_MS - HOUR_MS)
    await journal.settle([use("old"), use("new")])
    assert [row[0] for row in await rows(store)] == [key_id] * 2


async def test_uses_of_unknown_tokens_are_counted_apart_and_make_no_rows(store: Database) -> None:
    """They are shown by the beginning of their hash: what is no hash may be a secret itself."""
    await make_token(store, "a")
    journal = await begin(store)
    no_hash = ReportedUse(b"", "/api/test", NOW_MS, "", "", 0, 0, event_of("e"))
    unknown = use("nobody", event="f", route="/api/later")
    await journal.settle([use(), unknown, no_hash], [unknown, no_hash, no_hash])
    assert len(await rows(store)) == 1
    counted = await intake(store)
    assert counted["logged", ""].counted == 1
    shown = counted["unknown", f"{hash_of('nobody').hex()[:12]}…"]
    assert (shown.counted, shown.example, shown.last_ms) == (2, "/api/later", NOW_MS)
    assert counted["unknown", "not a SHA-256"].counted == 3
    async with store.reading() as tx:
        query = sa.select(sa.func.count()).select_from(usage_event)
        assert await tx.scalar(query) == 0, "unknown tokens' events are not remembered"


async def test_a_flood_of_unknown_tokens_grows_the_store_by_a_few_rows(store: Database) -> None:
    """Whoever may report could otherwise fill the disk with tokens that nobody has."""
    journal = await begin(store)
    for start in range(0, 600, 150):
        await journal.settle([use(f"nobody-{number}") for number in range(start, start + 150)])
    counted = await intake(store)
    told = {detail: row.counted for (kind, detail), row in counted.items() if kind == "unknown"}
    assert len(told) == UNKNOWN_TOLD_APART_MAX + 1
    assert sum(told.values()) == 600
    assert told["others"] == 500
    await journal.settle([use("nobody-0")] * 2, now_ms=NOW_MS + DAY_MS)
    assert len(await intake(store, NOW_MS + DAY_MS)) == 1, "the next day has its own"


async def test_refused_reports_are_counted_by_why_with_the_latest_address(store: Database) -> None:
    journal = await begin(store)
    for number, (count, address) in enumerate(((3, "192.0.2.1"), (2, "192.0.2.2"))):
        refused = [
            RefusedReports("unauthorized", count, NOW_MS + number, address),
            RefusedReports("bad_request", 1, NOW_MS - number, address),
        ]
        await journal.settle_records(UsageReport(f"r{number}", 0, [], refused))
    counted = await intake(store)
    wrong, unread = counted["refused", "unauthorized"], counted["refused", "bad_request"]
    assert (wrong.counted, wrong.example, wrong.last_ms) == (5, "192.0.2.2", NOW_MS + 1)
    assert (unread.counted, unread.example, unread.last_ms) == (2, "192.0.2.1", NOW_MS)
    assert await rows(store) == []


async def test_events_are_forgotten_after_their_time_and_days_after_theirs(
    store: Database,
) -> None:
    """Slice by slice; whatever their hashes, all that is old goes and nothing else does."""
    await make_token(store, "a")
    journal = await begin(store)
    await journal.settle([use(event=f"old-{number}") for number in range(300)])
    await file_events(store)
    later_ms = NOW_MS + 100 * DAY_MS
    await journal.settle([use(event=f"new-{number}") for number in range(300)], now_ms=later_ms)
    await file_events(store)
    async with store.writing() as tx:
        forgotten = [
            await usage_reports.forget_events(tx, number, later_ms - HOUR_MS)
            for number in range(7, usage_reports.SLICES + 7)
        ]
        await usage_intake.clean(tx, later_ms)
    assert sum(forgotten) == 300
    assert max(forgotten) < 20
    assert await intake(store) == await intake(store, later_ms)
    await journal.settle([use(event="old-1"), use(event="new-1")], now_ms=later_ms)
    assert len(await rows(store)) == 601


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_order_and_however_often_the_books_are_the_same(
    store: Database, seed: int
) -> None:
    """Any interleaving, copies, cuts into reports and batches, by any node: the same rows."""
    rng = random.Random(seed)
    nodes_ = [await begin(store, node=f"n{number}") for number in range(3)]
    for round_ in range(4):
        names = [f"{round_}-{name}" for name in ("a", "b", "c")]
        key_ids = {name: await make_token(store, name) for name in names}
        events = [
            use(
                rng.choice([*names, "nobody"]),
                rng.randrange(NOW_MS - 90 * DAY_MS, NOW_MS),
                f"{round_}-{number}",
                rng.choice(("/api/x", "/api/y")),
            )
            for number in range(rng.randint(1, 60))
        ]
        told = events + rng.choices(events, k=rng.randint(0, 90))
        rng.shuffle(told)
        while told:
            cuts = [rng.randint(1, 8) for _ in range(rng.randint(1, 4))]
            reports = [[told.pop() for _ in range(min(cut, len(told)))] for cut in cuts]
            await rng.choice(nodes_).settle(*reports)
        owners = {hash_of(name): key_id for name, key_id in key_ids.items()}
        wanted = sorted(
            (owners[one.token], one.route, one.at_ms) for one in events if one.token in owners
        )
        found = [row for row in await rows(store) if row[0] in key_ids.values()]
        assert found == wanted
        for key_id in key_ids.values():
            times = [at_ms for owner, _, at_ms in wanted if owner == key_id]
            assert await last_used(store, key_id) == max(times, default=None)


HOURS = {
    "postgresql": "DATE_TRUNC('hour', used_at)",
    "sqlite": "strftime('%Y-%m-%d %H:00', used_at)",
}
AGO = {
    "postgresql": "NOW() - INTERVAL '{0}'",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now', '-{0}')",
}


async def test_the_seeds_questions_are_answered_from_reported_uses(store: Database) -> None:
    """In its own words, by its own names: recently used, never used, idle, by hour, by route."""
    now_ms = await store.clock_ms() // HOUR_MS * HOUR_MS  # a full hour: no use is in another one
    for name in ("busy", "idle", "never"):
        await make_token(store, name)
    journal = await begin(store)
    uses = [
        *(
            use("busy", now_ms - number * HOUR_MS - 1)
            for number in range(5)
            for _ in range(number + 1)
        ),
        use("busy", now_ms - 3 * DAY_MS, route="/api/rare"),
        use("busy", now_ms - 8 * DAY_MS, route="/api/old"),
        use("idle", now_ms - 31 * DAY_MS, route="/api/old"),
    ]
    await journal.settle(uses[::-1], now_ms=now_ms)
    ago, hours = AGO[store.dialect], HOURS[store.dialect]

    async def ask(sql: str) -> list[tuple[object, ...]]:
        async with store.reading() as tx:
            return [tuple(row) for row in await tx.execute(sa.text(sql))]

    recent = "SELECT name FROM tokens WHERE last_used IS NOT NULL ORDER BY last_used DESC LIMIT 10"
    assert await ask(recent) == [("busy",), ("idle",)]
    assert await ask("SELECT name FROM tokens WHERE last_used IS NULL") == [("never",)]
    idle = f"SELECT name FROM tokens WHERE last_used < {ago.format('30 days')}"
    assert await ask(idle) == [("idle",)]
    by_hour = f"""SELECT {hours} AS hour, COUNT(*) AS usage_count FROM token_usage_logs
        WHERE used_at >= {ago.format("24 hours")} GROUP BY hour ORDER BY hour"""
    assert [row[1] for row in await ask(by_hour)] == [5, 4, 3, 2, 1]
    most = f"""SELECT route_path, COUNT(*) AS usage_count FROM token_usage_logs
        WHERE used_at >= {ago.format("7 days")}
        GROUP BY route_path ORDER BY usage_count DESC LIMIT 10"""
    assert await ask(most) == [("/api/x", 15), ("/api/rare", 1)]
