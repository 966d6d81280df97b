"""Answers about usage are those of the rows, however far the sums have come."""

import datetime
import random
from collections import Counter
from typing import Any

import pytest

from tallygate.core.rollup import SUMS, roll
from tallygate.core.usage_window import Window, last_days, last_hours, months
from tallygate.core.windows import Span
from tallygate.store import analytics, keys, rollup_sweep, rollups
from tallygate.store.analytics import Filter, Per, ranking, sums
from tallygate.store.database import Database
from tests.store.uses import NOW_MS, insert, rows_of, some_use, start_of, use, values_of

pytestmark = pytest.mark.anyio

ZONE = "America/New_York"
QUESTIONS = (
    (),
    (Per.HOUR,),
    (Per.DAY,),
    (Per.KEY,),
    (Per.ROUTE,),
    (Per.MODEL,),
    (Per.KEY, Per.MODEL),
    (Per.DAY, Per.ROUTE),
)
FILTERS = (
    Filter(),
    Filter(route="/api/test"),
    Filter(model="m1"),
    Filter(model="", route="/api/test"),
    Filter(key_ids=(1, 3)),
    Filter(team_id="blue"),
    Filter(team_id="blue", is_broad=True),
    Filter(user_id="ann", model="m2"),
    Filter(has_model=True),
    Filter(key_ids=(1, 3), has_model=True),
    Filter(key_ids=()),
)
TEAMS, USERS = {1: "blue", 2: "", 3: "blue"}, {1: "ann", 2: "ann", 3: ""}


async def make_keys(db: Database) -> None:
    async with db.writing() as tx:
        for key_id in TEAMS:
            made = await keys.insert_key(
                tx,
                kind="roc",
                label=f"k{key_id}",
                now_ms=NOW_MS,
                user_id=USERS[key_id],
                team_id=TEAMS[key_id],
            )
            assert made == key_id


async def sum_up(db: Database, upto_id: int) -> None:
    async with db.reading() as tx:
        mark = await rollups.read_mark(tx)
        groups = await rollups.read_groups(tx, mark.usage_id, upto_id)
    async with db.writing() as tx:
        assert await rollups.write(tx, mark, upto_id, roll(groups, mark.zone), NOW_MS)


def is_wanted(row: dict[str, Any], wanted: Filter) -> bool:
    key_id = row["key_id"]
    return (
        (wanted.key_ids is None or key_id in wanted.key_ids)
        and (wanted.team_id is None or TEAMS[key_id] == wanted.team_id)
        and (wanted.user_id is None or USERS[key_id] == wanted.user_id)
        and (wanted.route is None or row["route"] == wanted.route)
        and (wanted.model is None or row["model"] == wanted.model)
        and (not wanted.has_model or row["model"] != "")
    )


def by_hand(
    rows: list[dict[str, Any]], window: Window, wanted: Filter, pers: tuple[Per, ...]
) -> dict[tuple[Any, ...], Counter[str]]:
    found: dict[tuple[Any, ...], Counter[str]] = {}
    for row in rows:
        if window.start_s * 1000 <= row["at_ms"] < window.end_s * 1000 and is_wanted(row, wanted):
            place = tuple(
                start_of(row["at_ms"], ZONE, is_day=per is Per.DAY)
                if per in (Per.HOUR, Per.DAY)
                else row[per]
                for per in pers
            )
            found.setdefault(place, Counter()).update(values_of(row))
    return found


async def compare(db: Database, window: Window, chance: random.Random) -> None:
    rows = await rows_of(db)
    async with db.reading() as tx:
        reach = await analytics.reach(tx, ZONE)
        assert reach.is_whole and reach.zone == ZONE
        asked = [(wanted, pers) for wanted in FILTERS for pers in QUESTIONS]
        for wanted, pers in chance.sample(asked, 12):
            expected = by_hand(rows, window, wanted, pers)
            answered = await sums(tx, reach, window, wanted, *pers)
            plain = {place: [values[name] for name in SUMS] for place, values in expected.items()}
            found = {place: row[: len(SUMS)] for place, row in answered.items()}
            assert found == plain, (wanted, pers)
        for wanted in FILTERS[-4:]:
            ranked = await ranking(tx, reach, window, wanted, Per.KEY, ("uses",))
            uses = by_hand(rows, window, wanted, (Per.KEY,))
            assert dict(ranked) == {key_id: one["uses"] for (key_id,), one in uses.items()}
            assert [n for _, n in ranked] == sorted((n for _, n in ranked), reverse=True)


@pytest.mark.parametrize("hours", [0, 30])
async def test_sums_and_the_rows_after_them_make_every_answer(store: Database, hours: int) -> None:
    """Before the first sum, in the middle, after the last one, and while days are made anew."""
    chance = random.Random(hours)
    await make_keys(store)
    async with store.writing() as tx:
        await rollup_sweep.set_zone(tx, await rollups.read_mark(tx), ZONE)
        await insert(tx, [some_use(chance) for _ in range(120)])
    now_s = NOW_MS // 1000
    window = last_hours(hours, ZONE, now_s) if hours else last_days(3, ZONE, now_s)
    for upto_id in (0, 50, 120):
        await sum_up(store, upto_id)
        await compare(store, window, chance)
    async with store.writing() as tx:
        await insert(tx, [use(at_ms=NOW_MS)])
        mark = await rollups.read_mark(tx)
        await rollup_sweep.set_zone(tx, mark, "UTC")
        mark = await rollups.read_mark(tx)
        await rollup_sweep.set_zone(tx, mark, ZONE)
    await compare(store, window, chance)


async def test_an_empty_store_has_answers(store: Database) -> None:
    """The first page after the first start."""
    async with store.reading() as tx:
        reach = await analytics.reach(tx, "Asia/Kolkata")
        assert reach.zone == "Asia/Kolkata"
        window = last_days(7, reach.zone, NOW_MS // 1000)
        assert await sums(tx, reach, window, Filter(), Per.DAY) == {}
        assert await ranking(tx, reach, window, Filter(), Per.KEY, ("uses",)) == []


async def test_what_is_too_far_behind_is_said_to_be_incomplete(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store of many million rows that is new to sums must not be read whole for each chart."""
    monkeypatch.setattr(analytics, "TAIL_ROWS_MAX", 3)
    async with store.writing() as tx:
        await insert(tx, [use() for _ in range(4)])
    async with store.reading() as tx:
        reach = await analytics.reach(tx, "UTC")
        assert not reach.is_whole
        window = last_days(7, "UTC", NOW_MS // 1000)
        assert await sums(tx, reach, window, Filter()) == {}


def test_windows_follow_the_clocks_of_their_zone() -> None:
    """A day of 23 or 25 hours has as many parts, and one that begins at half past in London."""
    spring = 1_772_985_600  # 2026-03-08T16:00Z: clocks were put forward in New York
    day = last_days(1, ZONE, spring)
    assert (day.end_s - day.start_s, len(day.starts(Span.HOUR))) == (23 * 3600, 23)
    autumn = last_days(1, ZONE, 1_793_548_800)
    assert (autumn.end_s - autumn.start_s, len(autumn.starts(Span.HOUR))) == (25 * 3600, 25)
    week = last_days(9, ZONE, spring)
    assert len(week.starts(Span.DAY)) == 9
    assert week.label(week.starts(Span.DAY)[-1], Span.DAY) == "2026-03-08"
    kolkata = last_hours(3, "Asia/Kolkata", spring)
    assert [one % 3600 for one in kolkata.starts(Span.HOUR)] == [1800] * 3
    assert kolkata.label(kolkata.start_s, Span.HOUR).endswith(":00")
    first, last = (window.start_s for window in months_of("2025-12-31", "2026-01-01"))
    assert (first, last) == (1_764_547_200, 1_767_225_600)


def months_of(first: str, last: str) -> list[Window]:
    days = (datetime.date.fromisoformat(one) for one in (first, last))
    return months(*days, "UTC")
