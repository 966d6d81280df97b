"""Every entry is on the books exactly once, whatever became of its writer or of the store."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
import structlog

from tallygate.clerk.local import LocalClerk
from tallygate.core.claims import Claim, Claimed, Fulfil, Fulfilled
from tallygate.core.commands import CreateKey, DeleteKey, Inspect, Settle
from tallygate.core.ports import Changes
from tallygate.journal.folder import boot_folders, segment_path
from tallygate.store import limits, usage
from tallygate.store.database import Database, Tx
from tests.clerk.samples import ACTOR, Node, until
from tests.journal.samples import entry

pytestmark = pytest.mark.anyio


async def rows(node: Node) -> int:
    async with node.db.reading() as tx:
        return await usage.count_rows(tx)


async def test_the_barrier_settles_all_that_was_answered_before(any_node: Node):
    """Reading usage directly after an answer counts that answer."""
    _, limit = await any_node.make_limit(1000)
    workers = [await any_node.worker(slot) for slot in range(3)]
    for number in range(50):
        for worker in workers:
            assert await worker.admit(limit)
            worker.finish(limit, f"{worker.slot}-{number}")
    assert await any_node.command(Settle()) == {"stale": []}
    assert await rows(any_node) == 150


async def test_a_journal_that_two_looks_find_at_once_has_one_life(node: Node):
    """A barrier looks for new journals beside the clerk's own round; the second life would not know
    how far the first has settled, and its figures would begin anew."""
    worker = await node.worker(0)
    recovery = node.clerk.recovery
    (folder,) = boot_folders(node.options.journals)
    first, second = await asyncio.gather(recovery._begin(folder), recovery._begin(folder))
    assert first is second is node.clerk.settler.lives[worker.slot, worker.boot]


async def test_a_barrier_waits_for_what_was_written_during_a_running_step(node: Node):
    """A step that read before the barrier came says nothing about what was answered since."""
    _, limit = await node.make_limit(100)
    worker = await node.worker(0)
    for number in range(20):
        assert await worker.admit(limit)
        worker.finish(limit, f"early-{number}")
        node.clerk.writer.poke()
        for _ in range(number % 7):
            await asyncio.sleep(0)  # somewhere in the middle of a step
        assert await worker.admit(limit)
        worker.finish(limit, f"late-{number}")
        await node.clerk.barrier.settle(5000)
        assert await rows(node) == 2 * (number + 1)


async def test_a_barrier_without_a_store_names_this_node(node: Node):
    """Whoever asks is told that the figures may be old, instead of waiting for ever."""
    _, limit = await node.make_limit(10)
    worker = await node.worker(0)
    assert await worker.admit(limit)
    node.db.is_away = True
    worker.finish(limit, "r")
    assert await node.clerk.barrier.settle(50) == ["one"]
    node.db.is_away = False
    await until(lambda: node.clerk.is_store_available)
    assert await node.command(Settle()) == {"stale": []}
    assert await rows(node) == 1


async def test_journals_of_earlier_lives_are_settled_at_the_start(node: Node):
    """The whole node was killed: the next start finds what the last one left."""
    _, limit = await node.make_limit(100)
    worker = await node.worker(0)
    for _ in range(4):
        assert await worker.admit(limit)
    await node.stop()
    for number in range(3):
        worker.finish(limit, f"r{number}")
    worker.die()
    await node.start()
    await node.until_closed()
    assert await rows(node) == 4  # three that ended, one row for the one that was lost
    async with node.db.reading() as tx:
        found = await limits.used(tx, limit.id, 0)
    assert (found.spent, found.leased) == (4, 0)


def back_up(database: Path, copy: Path) -> None:
    """With what its log still holds, which a copy of the file alone would lack."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


async def test_a_restored_backup_replays_the_journals_it_never_saw(node: Node, tmp_path: Path):
    """Settled segments are kept for that: the backup gets the hours it lacks, once."""
    _, limit = await node.make_limit(100)
    await node.stop()
    back_up(tmp_path / "tallygate.db", tmp_path / "backup.db")
    await node.start()
    worker = await node.worker(0)
    for number in range(7):
        assert await worker.admit(limit)
        worker.finish(limit, f"r{number}")
    worker.die()
    await node.until_closed()
    assert await rows(node) == 7
    await node.stop()
    for leftover in sorted(tmp_path.glob("tallygate.db*")):  # noqa: ASYNC240 - a test
        leftover.unlink()
    shutil.copy(tmp_path / "backup.db", tmp_path / "tallygate.db")
    for _ in range(2):
        await node.start()
        await node.until_closed()
        assert await rows(node) == 7
        async with node.db.reading() as tx:
            assert (await limits.used(tx, limit.id, 0)).spent == 7
        await node.stop()
    await node.start()


async def test_a_damaged_frame_does_not_hold_up_the_others(node: Node):
    _, limit = await node.make_limit(100)
    worker = await node.worker(0)
    for _ in range(5):
        assert await worker.admit(limit)
    await node.stop()
    for number in range(5):
        worker.finish(limit, f"r{number}")
    path = segment_path(worker.journal.folder, 1)
    data = bytearray(path.read_bytes())
    data[data.index(b"r2")] ^= 1
    path.write_bytes(data)
    worker.die()
    await node.start()
    await node.until_closed()
    assert await rows(node) == 5  # four that are readable, and one that was admitted and lost
    assert list((node.options.corrupt).glob("*.json"))
    assert (await node.command(Inspect()))["figures"]["frames_set_aside"] == 1


async def test_a_journal_of_another_store_is_left_alone(node: Node):
    """The data folder was put beside the wrong database."""
    _, limit = await node.make_limit(100)
    worker = await node.worker(0)
    assert await worker.admit(limit)
    await node.stop()
    worker.finish(limit, "r")
    worker.die()
    async with opened(node) as tx:
        await tx.execute(sa.text("UPDATE store SET uuid = 'another'"))
    await node.start()
    await until(lambda: any(life.refused for life in node.clerk.settler.lives.values()))
    assert await rows(node) == 0


async def test_an_entry_the_store_does_not_take_is_set_aside(node: Node):
    """One bug must not hold up everything that comes behind it."""
    _, limit = await node.make_limit(100)
    worker = await node.worker(0)
    for _ in range(3):
        assert await worker.admit(limit)
    await node.stop()
    worker.finish(limit, "r0")
    poison = msgspec.structs.replace(entry("bad"), bytes_out=2**63)  # no column holds that
    worker.journal.append(msgspec.msgpack.encode(poison))
    worker.finish(limit, "r1")
    await node.start()
    await node.command(Settle(timeout_ms=5000))
    assert await rows(node) == 2
    assert [
        path for path in node.options.corrupt.glob("*.json") if b"not_taken" in path.read_bytes()
    ]


async def test_a_worker_that_outlived_its_clerk_hears_what_it_missed(node: Node):
    """A key revoked while the clerk was being replaced is revoked there too."""
    view = await node.command(CreateKey())
    worker = await node.worker(0)
    await node.stop()
    other = msgspec.structs.replace(node.options, data=node.options.data + "-cli", node_uuid="cli")
    async with LocalClerk(other) as clerk:
        await clerk.command(DeleteKey(key=str(view["id"])), ACTOR)
    await node.start()
    await worker.connect()
    await worker.hear_change("key", view["id"])


async def test_a_feed_that_was_pruned_too_far_makes_workers_forget(node: Node):
    """Who missed events can not know which keys changed."""
    worker = await node.worker(0)
    async with node.db.writing() as tx:
        await tx.execute(sa.text("UPDATE store SET feed_seq = feed_seq + 5"))
    await worker.hear(Changes)
    assert worker.changes[-1].kind == "flush"


async def test_an_idempotent_call_runs_once_and_is_answered_again(node: Node):
    """The same billable call sent twice is charged once."""
    worker = await node.worker(0)

    async def claim(number: int, payload: bytes = b"p", request: str = "r") -> Claimed:
        worker.channel.send(Claim(number, 1, "idem", payload, f"{request}{number}"))
        return await worker.hear(Claimed, number)

    assert (await claim(1)).state == "new"
    assert (await claim(2)).state == "running"
    assert (await claim(3, payload=b"other")).state == "conflict"
    worker.channel.send(Fulfil(1, "idem", False, 200, "application/json", b"{}"))
    await until(lambda: not node.clerk.claims._ended)
    done = await claim(4)
    assert (done.state, done.status, done.answer, done.request_id) == ("done", 200, b"{}", "r1")


async def test_a_worker_may_forget_the_end_of_a_call_once_the_store_has_it(any_node: Node):
    """Not before: a clerk that dies with it would leave the key taken for a day."""
    worker = await any_node.worker(0)
    worker.channel.send(Claim(1, 1, "idem", b"p", "r"))
    assert (await worker.hear(Claimed, 1)).state == "new"
    for number in (7, 8):  # the same end, told again to be sure
        worker.channel.send(Fulfil(1, "idem", False, 200, "", b"{}", "r", number))

    def heard() -> list[int]:
        told = [one for one in worker.messages if isinstance(one, Fulfilled)]
        return [number for one in told for number in one.ids]

    await worker.hear(Fulfilled)
    worker.channel.send(Claim(2, 1, "idem", b"p", "again"))
    assert (await worker.hear(Claimed, 2)).state == "done"
    await until(lambda: heard() == [7, 8])


async def test_late_word_of_a_call_does_not_end_another_one_with_its_key(any_node: Node):
    """A worker tells what it could not say before; the key may have been claimed anew since."""
    worker = await any_node.worker(0)
    worker.channel.send(Claim(1, 1, "idem", b"p", "new"))
    assert (await worker.hear(Claimed, 1)).state == "new"
    worker.channel.send(Fulfil(1, "idem", False, 200, "application/json", b"{}", "old"))
    worker.channel.send(Fulfil(1, "idem", True, 0, "", None, "old"))
    await until(lambda: not any_node.clerk.claims._ended)
    worker.channel.send(Claim(2, 1, "idem", b"p", "again"))
    assert (await worker.hear(Claimed, 2)).state == "running"
    worker.channel.send(Fulfil(1, "idem", True, 0, "", None, "new"))
    await until(lambda: not any_node.clerk.claims._ended)
    worker.channel.send(Claim(3, 1, "idem", b"p", "again"))
    assert (await worker.hear(Claimed, 3)).state == "new"


async def test_the_end_of_a_worker_reads_like_one(node: Node):
    """It is the same at a restart, at a crash and at a stop: nothing to be alarmed about."""
    worker = await node.worker(0)
    with structlog.testing.capture_logs() as lines:
        worker.die()
        await node.until_closed()
    said = [line for line in lines if line["event"].startswith("a worker has ended")]
    assert [line["log_level"] for line in said] == ["info"]
    assert not any("dead" in line["event"] for line in lines)


async def test_what_a_dead_worker_had_claimed_can_be_claimed_again(node: Node):
    worker = await node.worker(0)
    worker.channel.send(Claim(1, 1, "idem", b"p", "r1"))
    assert (await worker.hear(Claimed)).state == "new"
    worker.die()
    await node.until_closed()
    other = await node.worker(1)
    other.channel.send(Claim(1, 1, "idem", b"p", "r2"))
    assert (await other.hear(Claimed)).state == "new"


@asynccontextmanager
async def opened(node: Node) -> AsyncIterator[Tx]:
    """The store of a node that is stopped."""
    db = Database(node.options.database_url)
    await db.open()
    async with db.writing() as tx:
        yield tx
    await db.close()
