"""Taking over the seed's keys and counts, on both stores."""

import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from tallygate.core.keys import hash_key
from tallygate.core.sealing import unseal_key
from tallygate.core.takeover import OldKey, OldUsage, Report
from tallygate.store import keys, quota_proxy, schema, usage
from tallygate.store.database import Database
from tallygate.store.location import locate
from tallygate.store.quota_proxy import Sealing
from tallygate.store.quota_proxy_file import OldFile
from tests.store.test_quota_proxy_file import KEY, path  # noqa: F401 - a fixture

pytestmark = pytest.mark.anyio

MASTER_KEY = b"m" * 32
NOW_MS = 1_770_800_000_000
DAY = datetime.date(2026, 2, 11)


def old_file(requests: int = 15) -> OldFile:
    return OldFile(
        keys=[
            OldKey(KEY, "测试用户", 1_739_299_200_000, 100, True),
            OldKey("sk-odd key/with?signs", "", 0, None, False),
        ],
        usages=[
            OldUsage(KEY, DAY, requests, NOW_MS - 5),
            OldUsage("gone", DAY, 3, NOW_MS - 5),
        ],
    )


async def take_over(store: Database, old: OldFile, zone: str = "UTC") -> Report:
    async with store.writing() as tx:
        return await quota_proxy.take_over(
            tx, old, zone=zone, sealing=Sealing(MASTER_KEY), now_ms=NOW_MS
        )


async def test_old_keys_work_unchanged_and_old_counts_stand(store: Database) -> None:
    """Whoever switches must not hand out a single new key, nor give a day's quota twice."""
    report = await take_over(store, old_file())
    assert (report.keys, report.days, report.requests) == (2, 1, 15)
    assert report.skipped == {quota_proxy.NO_LONGER_THERE: 1}
    async with store.reading() as tx:
        key = await keys.find_by_hash(tx, hash_key(KEY.encode()), NOW_MS)
        odd = await keys.find_view(tx, "sk-odd key/with?signs")
        (used, unused) = await usage.day_usage(tx, DAY)
    assert key is not None and key.is_active and key.limits[0].amount == 100
    assert odd is not None and not odd.is_active and odd.daily_limit is None
    assert (used.requests, used.updated_ms, used.created_ms) == (
        15,
        NOW_MS - 5,
        1_739_299_200_000,
    )
    assert used.label == "测试用户" and unused.requests == 0
    assert used.sealed is not None and unseal_key(MASTER_KEY, used.sealed, used.key_id) == KEY


async def test_counts_belong_to_their_calendar_day_in_the_operators_zone(store: Database) -> None:
    """The eleventh stays the eleventh, wherever the operator's midnight is."""
    await take_over(store, old_file(), zone="Asia/Taipei")
    async with store.reading() as tx:
        assert (await usage.day_usage(tx, DAY))[0].requests == 15


async def test_repeating_an_import_adds_only_what_is_new(store: Database) -> None:
    """The old server may still run while the switch is tried out."""
    await take_over(store, old_file())
    again = await take_over(store, old_file())
    assert (again.keys, again.days, again.requests, again.known) == (0, 0, 0, 3)
    grown = await take_over(store, old_file(requests=18))
    assert (grown.days, grown.requests) == (1, 3)
    async with store.reading() as tx:
        assert (await usage.day_usage(tx, DAY))[0].requests == 18
        history = await tx.scalar(sa.select(sa.func.sum(schema.usage.c.requests)))
    assert history == 18


async def test_a_key_deleted_since_never_comes_back(store: Database) -> None:
    """Deleting a key is final, whatever an old file still says."""
    await take_over(store, old_file())
    async with store.writing() as tx:
        view = await keys.find_view(tx, KEY)
        assert view is not None
        await keys.delete(tx, view.id, NOW_MS)
    assert (await take_over(store, old_file())).keys == 0
    async with store.reading() as tx:
        assert await keys.find_view(tx, KEY) is None


async def test_the_seeds_views_show_the_seeds_columns_with_keys_masked(store: Database) -> None:
    """Old reports run on; they never see a whole key."""
    await take_over(store, old_file(), zone="Asia/Taipei")
    async with store.reading() as tx:
        rows = (await tx.execute(sa.text("SELECT * FROM trial_keys ORDER BY created_at"))).all()
        stats = (await tx.execute(sa.text("SELECT * FROM usage_stats"))).all()
        joined = await tx.scalar(
            sa.text(
                "SELECT SUM(u.requests) FROM usage_stats u JOIN trial_keys t ON t.key = u.trial_key"
            )
        )
    assert list(rows[0]._mapping) == ["key", "label", "created_at", "daily_limit", "is_active"]
    assert [tuple(row)[1:] for row in rows] == [
        ("", 0, None, 0),
        ("测试用户", 1_739_299_200_000, 100, 1),
    ]
    assert list(stats[0]._mapping) == ["id", "trial_key", "day", "requests", "updated_at"]
    assert (stats[0].day, stats[0].requests, joined) == ("2026-02-11", 15, 15)
    assert KEY not in str(rows) + str(stats)


def test_an_old_file_is_taken_over_into_a_store_beside_it(
    path: Path,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """SQLITE_DB_PATH stays as it was in the old server's environment."""
    found = locate(tmp_path / "data", None, path)
    assert (found.path, found.takes_over) == (tmp_path / "quota-proxy.tallygate.db", path)
    new = locate(tmp_path / "data", None, tmp_path / "new.db")
    assert (new.path, new.takes_over) == (tmp_path / "new.db", None)
    assert locate(tmp_path / "data", None, None).path == tmp_path / "data" / "tallygate.db"
    shared = locate(tmp_path / "data", "postgresql://u:hunter2@h/d", None)
    assert shared.path is None and "hunter2" not in repr(shared) + shared.name
