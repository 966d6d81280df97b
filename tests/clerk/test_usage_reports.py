"""Reports from a worker's journal to the books, through the clerk: crashes, nodes, lost commits."""

import hashlib

import msgspec
import pytest
import sqlalchemy as sa

from tallygate.clerk import upkeep
from tallygate.core.commands import CreateKey, Inspect, Settle
from tallygate.core.usage_report import ReportedUse, UsageReport, event_of
from tallygate.store import keys, usage, usage_intake
from tallygate.store.usage_schema import usage_event
from tests.clerk.samples import Node, Worker, until

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000


async def make_token(node: Node) -> tuple[int, bytes]:
    view = await node.command(CreateKey(kind="ntk", label="n8n"))
    return view["id"], hashlib.sha256(view["secret"].encode()).digest()


def report(worker: Worker, name: str, *uses: ReportedUse) -> None:
    assert worker.journal is not None
    worker.journal.append(msgspec.msgpack.encode(UsageReport(name, 0, list(uses))))
    worker.journal.write()
    worker.journal.prepare()


def use(token: bytes, event: str = "", at_ms: int = 1_000_000) -> ReportedUse:
    name = event_of(event) if event else b""
    return ReportedUse(token, "/api/x", at_ms, "", "", 200, 5, name)


async def rows(node: Node) -> int:
    async with node.db.reading() as tx:
        return await usage.count_rows(tx)


async def test_reports_of_a_burst_are_settled_in_few_transactions(any_node: Node):
    """Ten thousand uses, an answer each long since: the barrier finds all of them on the books."""
    key_id, token = await make_token(any_node)
    worker = await any_node.worker(0)
    for number in range(100):
        uses = [use(token, f"{number}-{one}", 1_000_000 + number) for one in range(100)]
        report(worker, f"r{number}", *uses)
    assert await any_node.command(Settle()) == {"stale": []}
    assert await rows(any_node) == 10_000
    async with any_node.db.reading() as tx:
        view = await keys.find_view(tx, str(key_id))
    assert view is not None
    assert view.last_used_ms == 1_000_099
    figures = (await any_node.command(Inspect()))["figures"]
    assert figures["entries_settled"] == 100


async def test_a_commit_whose_answer_was_lost_counts_once(any_node: Node):
    _, token = await make_token(any_node)
    worker = await any_node.worker(0)
    any_node.db.fail_commits = 1
    report(worker, "r0", *(use(token) for _ in range(5)))
    await until(lambda: not any_node.db.fail_commits)
    await until(lambda: any_node.clerk.is_store_available)
    assert await any_node.command(Settle()) == {"stale": []}
    assert await rows(any_node) == 5


async def test_a_node_that_was_killed_settles_at_its_next_start(node: Node):
    """What was answered `logged` is in the journal, whoever lives to settle it; copies are none."""
    _, token = await make_token(node)
    worker = await node.worker(0)
    report(worker, "r0", use(token, "a"), use(token, "b"))
    assert await node.command(Settle()) == {"stale": []}
    await node.stop()
    report(worker, "r1", use(token, "b"), use(token, "c"))
    worker.die()
    await node.start()
    await node.until_closed()
    assert await rows(node) == 3


async def test_a_report_that_the_store_does_not_take_holds_up_nothing(node: Node):
    """A bug of ours: the record is set aside, and what follows is settled."""
    _, token = await make_token(node)
    worker = await node.worker(0)
    assert worker.journal is not None
    for number in range(3):
        record = UsageReport(f"r{number}", 0, [use(token) for _ in range(3)])
        if number == 1:
            record.uses[1].duration_ms = 2**63  # fits into MessagePack, and into no column
        worker.journal.append(msgspec.msgpack.encode(record))
    worker.journal.write()
    assert await node.command(Settle()) == {"stale": []}
    assert await rows(node) == 6
    assert (await node.command(Inspect()))["figures"]["frames_set_aside"] == 1


async def test_upkeep_forgets_events_and_days_in_time(node: Node, monkeypatch):
    """All slices are looked at, one after the other; what is younger stays."""
    _, token = await make_token(node)
    worker = await node.worker(0)
    report(worker, "r0", *(use(token, f"e{number}") for number in range(200)))
    assert await node.command(Settle()) == {"stale": []}
    async with node.db.writing() as tx:
        old = sa.update(usage_event).values(seen_ms=node.clerk.clock.now_ms() - 4 * DAY_MS)
        await tx.execute(old.where(usage_event.c.hash < b"\x80"))
        young = await tx.scalar(sa.select(sa.func.count()).where(usage_event.c.hash >= b"\x80"))
    monkeypatch.setattr(upkeep, "SLICES_AT_A_TIME", 1024)
    for _ in range(4):
        await node.clerk.upkeep.tidy()
    async with node.db.reading() as tx:
        left = await tx.scalar(sa.select(sa.func.count()).select_from(usage_event))
        assert len(await usage_intake.read(tx, node.clerk.clock.now_ms())) == 1
    assert left == young
