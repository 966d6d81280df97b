"""Reports from a worker's journal to the books, through the clerk: crashes, nodes, lost commits."""

import asyncio
import hashlib

import msgspec
import pytest
import sqlalchemy as sa

from tallygate.clerk import upkeep
from tallygate.clock import system_ms
from tallygate.core.commands import CreateKey, Inspect, Settle
from tallygate.core.usage_report import ReportedUse, UsageReport, event_of
from tallygate.store import keys, usage, usage_intake
from tallygate.store.usage_schema import usage_event
from tests.clerk.samples import WAIT_S, Node, Worker, until

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000
START_MS = system_ms() - DAY_MS  # rows that are much older are cleaned away


async def make_token(node: Node) -> tuple[int, bytes]:
    view = await node.command(CreateKey(kind="ntk", label="n8n"))
    return view["id"], hashlib.sha256(view["secret"].encode()).digest()


def report(worker: Worker, name: str, *uses: ReportedUse) -> None:
    assert worker.journal is not None
    worker.journal.append(msgspec.msgpack.encode(UsageReport(name, 0, list(uses))))
    worker.journal.write()
    worker.journal.prepare()


def use(token: bytes, event: str = "", at_ms: int = 0) -> ReportedUse:
    name = event_of(event) if event else b""
    at_ms = at_ms or START_MS
    return ReportedUse(token, "/api/x", at_ms, "", "", 200, 5, name)


async def settle(node: Node) -> None:
    """However long a busy machine takes."""
    async with asyncio.timeout(WAIT_S):
        while await node.command(Settle()) != {"stale": []}:
            pass


async def rows(node: Node) -> int:
    async with node.db.reading() as tx:
        return await usage.count_rows(tx)


async def test_all_of_a_burst_is_on_the_books_once_it_is_settled(any_node: Node):
    """Three thousand uses, answered long since: the barrier finds all of them on the books."""
    key_id, token = await make_token(any_node)
    worker = await any_node.worker(0)
    for number in range(30):
        uses = [use(token, f"{number}-{one}", START_MS + number) for one in range(100)]
        report(worker, f"r{number}", *uses)
    await settle(any_node)
    assert await rows(any_node) == 3_000
    async with any_node.db.reading() as tx:
        view = await keys.find_view(tx, str(key_id))
    assert view is not None
    assert view.last_used_ms == START_MS + 29


async def test_a_commit_whose_answer_was_lost_counts_once(any_node: Node):
    _, token = await make_token(any_node)
    worker = await any_node.worker(0)
    any_node.db.fail_commits = 1
    report(worker, "r0", *(use(token) for _ in range(5)))
    await until(lambda: not any_node.db.fail_commits)
    await until(lambda: any_node.clerk.is_store_available)
    await settle(any_node)
    assert await rows(any_node) == 5


async def test_a_node_that_was_killed_settles_at_its_next_start(node: Node):
    """What was answered `logged` is in the journal, whoever lives to settle it; copies are none."""
    _, token = await make_token(node)
    worker = await node.worker(0)
    report(worker, "r0", use(token, "a"), use(token, "b"))
    await settle(node)
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
    await settle(node)
    assert await rows(node) == 6
    assert (await node.command(Inspect()))["figures"]["frames_set_aside"] == 1


async def test_upkeep_forgets_events_and_days_in_time(node: Node, monkeypatch):
    """All slices are looked at, one after the other; what is younger stays."""
    _, token = await make_token(node)
    worker = await node.worker(0)
    report(worker, "r0", *(use(token, f"e{number}") for number in range(200)))
    await settle(node)
    node.clerk.settler.file_events()
    await until(lambda: not node.clerk.settler.has_events_to_file)
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
