"""A clerk tells of what is out of the ordinary, once, and can throttle the key meanwhile."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from tallygate.clerk.anomalies import Anomalies
from tallygate.clerk.rollup import Roller
from tallygate.core.anomalies import ACKNOWLEDGED, OPEN, Kind, Throttle
from tallygate.core.anomaly_commands import AcknowledgeAnomaly, AnomalyView, SetKeyThrottle
from tallygate.core.commands import CreateKey, PatchKey
from tallygate.core.errors import Code, Refusal
from tallygate.store import anomalies, keys, notices
from tallygate.store.anomalies import Filter
from tallygate.store.anomaly_schema import anomaly, anomaly_mark, key_habit, key_source
from tallygate.store.database import Database
from tallygate.store.schema import api_key, audit, feed
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import Node
from tests.sim.crashes import Crash, Failing
from tests.store.uses import HOUR_MS, insert, use

pytestmark = pytest.mark.anyio

DAY_MS = 24 * HOUR_MS
STATEMENTS_MAX = 80


@pytest.fixture(autouse=True)
def no_rounds_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say when."""

    async def never(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Roller, "run", never)
    monkeypatch.setattr(Anomalies, "run", never)


class Stage:
    """A node with one key that was used a little each hour for some weeks, until yesterday."""

    def __init__(self, node: Node, key_id: int) -> None:
        self.node = node
        self.key_id = key_id
        self.now_ms = node.clerk.clock.now_ms()

    async def used(self, ago_ms: int, times: int = 1, **values: Any) -> None:
        rows = [
            use(key_id=self.key_id, at_ms=self.now_ms - ago_ms, request_id=f"r{n}", **values)
            for n in range(times)
        ]
        async with self.node.db.writing() as tx:
            await insert(tx, rows)

    async def history(self, days: int) -> None:
        rows = [
            use(key_id=self.key_id, at_ms=self.now_ms - at * HOUR_MS)
            for at in range(24, days * 24, 3)
        ]
        async with self.node.db.writing() as tx:
            await insert(tx, rows)
        await self.born(days + 1)
        await self.look()

    async def born(self, days: int) -> None:
        async with self.node.db.writing() as tx:
            values = {"created_ms": self.now_ms - days * DAY_MS}
            await tx.execute(sa.update(api_key).values(values))

    async def look(self, by: Node | None = None) -> None:
        clerk = (by or self.node).clerk
        await clerk.roller.catch_up()
        await clerk.anomalies.look()

    async def told(self) -> list[AnomalyView]:
        """The oldest first."""
        async with self.node.db.reading() as tx:
            found, total = await anomalies.page(tx, Filter(), limit=100)
        assert total == len(found)
        return found[::-1]

    async def notices(self) -> list[str]:
        async with self.node.db.reading() as tx:
            found, _ = await notices.page(tx, limit=100)
        return [one.kind for one in found if one.kind.startswith("anomaly.")]

    async def key(self) -> Any:
        async with self.node.db.reading() as tx:
            return await keys.find_view(tx, str(self.key_id))

    async def pass_time(self, hours: int) -> None:
        """As if all that was told were so much older."""
        async with self.node.db.writing() as tx:
            for column in (anomaly.c.started_ms, anomaly.c.last_ms, anomaly.c.throttled_until_ms):
                moved = {column: column - hours * HOUR_MS}
                await tx.execute(sa.update(anomaly).values(moved))


SetUp = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def set_up(make_node: MakeNode, store_url: str) -> SetUp:
    async def make(days: int = 21, **options: Any) -> Stage:
        node = await make_node(url=store_url, **options)
        made = await node.command(CreateKey(label="n8n", daily_limit=None))
        stage = Stage(node, made["id"])
        if days:
            await stage.history(days)
        assert await stage.told() == []
        return stage

    return make


async def test_sudden_volume_is_one_anomaly_with_its_evidence(set_up: SetUp) -> None:
    """What was expected, what was seen, how unlikely it is, and the first of its uses."""
    stage = await set_up()
    await stage.used(0, times=60)
    await stage.look()
    [told] = await stage.told()
    assert (told.kind, told.key_label, told.state, told.ended_ms) == ("volume", "n8n", OPEN, None)
    evidence = told.evidence
    assert evidence.seen is not None
    assert evidence.expected is not None
    assert evidence.chance is not None
    assert evidence.seen >= 60 > 10 > evidence.expected
    assert evidence.chance < -7
    assert len(evidence.rows) == 5
    assert evidence.rows[0].address == "192.0.2.1"
    assert await stage.notices() == ["anomaly.volume"]


async def test_an_event_that_goes_on_grows_and_is_told_once(set_up: SetUp) -> None:
    """Hundreds of notices of one flood would be another flood."""
    stage = await set_up()
    await stage.used(0, times=60)
    await stage.look()
    await stage.used(0, times=40)
    await stage.look()
    await stage.look()
    [told] = await stage.told()
    assert told.evidence.seen == 100
    assert len(told.evidence.hours) == 1
    assert await stage.notices() == ["anomaly.volume"]


async def test_what_was_quiet_for_a_while_is_over(set_up: SetUp) -> None:
    """What comes then is another event, with its own notice."""
    stage = await set_up()
    await stage.used(0, times=60)
    await stage.look()
    await stage.pass_time(6)
    await end(stage.node)
    [told] = await stage.told()
    assert told.ended_ms == told.last_ms
    await stage.look()
    assert [one.ended_ms is None for one in await stage.told()] == [False, True]


async def end(node: Node) -> None:
    await node.clerk.writer.do("end anomalies", node.clerk.anomalies._end)


async def test_a_burst_of_errors_is_told_with_uses_that_failed(set_up: SetUp) -> None:
    """The rows of the evidence are those that somebody has to look at."""
    stage = await set_up()
    await stage.used(0, times=3)
    await stage.used(0, times=15, status=502)
    await stage.look()
    [told] = await stage.told()
    assert told.kind == Kind.ERRORS
    assert told.evidence.seen == 15
    assert {row.status for row in told.evidence.rows} == {502}


async def test_an_unfamiliar_source_is_told_with_what_is_usual(set_up: SetUp) -> None:
    """A second one while it goes on belongs to it."""
    stage = await set_up()
    await stage.used(0, address="203.0.113.9")
    await stage.look()
    await stage.used(0, agent="sqlmap/1.8")
    await stage.used(0, address="203.0.113.200")  # the same network
    await stage.look()
    [told] = await stage.told()
    assert told.kind == Kind.SOURCE
    assert told.evidence.sources == ["203.0.113.0/24", "sqlmap/*"]
    assert told.evidence.usual == ["192.0.2.0/24"]
    assert [row.address for row in told.evidence.rows] == ["203.0.113.9"]
    assert await stage.notices() == ["anomaly.source"]


async def test_a_dormant_token_that_wakes_is_told(set_up: SetUp) -> None:
    """Also one that was never used since it was made."""
    stage = await set_up(days=0)
    await stage.born(60)
    await stage.used(0)
    await stage.look()
    [first] = await stage.told()
    assert (first.kind, first.evidence.what) == (Kind.DORMANT, "used for the first time")
    async with stage.node.db.writing() as tx:
        moved = {key_habit.c.last_ms: key_habit.c.last_ms - 40 * DAY_MS}
        await tx.execute(sa.update(key_habit).values(moved))
    await stage.pass_time(40 * 24)
    await end(stage.node)
    await stage.used(0)
    await stage.look()
    again = (await stage.told())[-1]
    assert again.evidence.quiet_days == pytest.approx(40, abs=0.1)


async def test_history_that_is_read_for_the_first_time_raises_no_alarm(set_up: SetUp) -> None:
    """After an upgrade or an import years of usage are learnt from in silence."""
    stage = await set_up()
    await stage.used(3 * DAY_MS, times=5, address="203.0.113.9", agent="other")
    await stage.used(2 * DAY_MS, times=500)
    await stage.look()
    assert await stage.told() == []
    async with stage.node.db.reading() as tx:
        names = (await tx.execute(sa.select(key_source.c.name))).scalars().all()
    assert sorted(names) == ["192.0.2.0/24", "203.0.113.0/24", "other", "test"]


async def test_hours_of_a_clerk_that_was_away_are_judged_afterwards(set_up: SetUp) -> None:
    """A flood that came and went meanwhile is told all the same."""
    stage = await set_up()
    async with stage.node.db.writing() as tx:
        past_s = stage.now_ms // 1000 - 6 * 3600
        await tx.execute(sa.update(anomaly_mark).values(hour_s=past_s - past_s % 3600))
    await stage.used(4 * HOUR_MS, times=60)
    await stage.look()
    [told] = await stage.told()
    assert told.ended_ms is not None
    await stage.look()
    assert len(await stage.told()) == 1


async def test_nodes_that_look_at_once_tell_once(set_up: SetUp, make_node: MakeNode) -> None:
    """Every node does it: whoever finds the turn gone has written nothing."""
    stage = await set_up()
    nodes = [stage.node, await make_node("two", url=stage.node.options.database_url)]
    await stage.used(0, times=60, address="203.0.113.9")
    await stage.node.clerk.roller.catch_up()
    await asyncio.gather(*(node.clerk.anomalies.look() for node in nodes for _ in range(3)))
    assert sorted(one.kind for one in await stage.told()) == ["source", "volume"]
    assert sorted(await stage.notices()) == ["anomaly.source", "anomaly.volume"]
    async with stage.node.db.reading() as tx:
        known = sa.select(key_source.c.uses).where(key_source.c.name == "203.0.113.0/24")
        assert await tx.scalar(known) == 60


class Dying:
    """Stands for the writer: each transaction dies at its first statement, then at its second …"""

    def __init__(self, db: Database, clock_ms: Callable[[], int]) -> None:
        self.db = db
        self.clock_ms = clock_ms
        self.died: Counter[str] = Counter()

    async def do(self, name: str, run: Callable[[Any, int], Awaitable[Any]], **__: Any) -> Any:
        try:
            async with self.db.writing() as tx:
                return await run(Failing(tx, self.died[name]), self.clock_ms())
        except Crash:
            self.died[name] += 1
            raise


async def test_a_crash_between_any_two_statements_tells_once(set_up: SetUp) -> None:
    """What was not committed never was: the next round tells of it as if first."""
    stage = await set_up(anomaly_throttle="slow")
    await stage.used(0, times=60, address="203.0.113.9")
    await stage.node.clerk.roller.catch_up()
    watcher, dying = stage.node.clerk.anomalies, Dying(stage.node.db, lambda: stage.now_ms)
    watcher._writer = dying  # type: ignore[assignment]  # stands for one
    for _ in range(STATEMENTS_MAX):
        with contextlib.suppress(Crash):
            await watcher.look()
            break
    else:
        pytest.fail("the numbers reach beyond the last statement")
    assert dying.died["learn habits"] > 10, "the event, its notice and its throttle are in it"
    assert dying.died["judge an hour"] > 4
    assert sorted(one.kind for one in await stage.told()) == ["source", "volume"]
    assert sorted(await stage.notices()) == ["anomaly.source", "anomaly.volume"]
    assert [limit.amount for limit in (await stage.key()).limits] == [10]
    async with stage.node.db.reading() as tx:
        known = sa.select(key_source.c.uses).where(key_source.c.name == "203.0.113.0/24")
        assert await tx.scalar(known) == 60


# --- throttles ---


async def flooded(set_up: SetUp, **options: Any) -> tuple[Stage, AnomalyView]:
    stage = await set_up(**options)
    await stage.used(0, times=60)
    await stage.look()
    [told] = await stage.told()
    return stage, told


async def acknowledge(stage: Stage, anomaly_id: int, **changes: Any) -> AnomalyView:
    wanted = AcknowledgeAnomaly(anomaly_id=anomaly_id, **changes)
    return await stage.node.command(wanted, into=AnomalyView)


async def test_nothing_is_throttled_unless_somebody_asked_for_it(set_up: SetUp) -> None:
    """An automation that stops because of a guess would be worse than the anomaly."""
    stage, told = await flooded(set_up)
    assert told.throttle == Throttle.OFF
    key = await stage.key()
    assert key.is_active
    assert key.limits == []


async def test_a_token_is_stopped_until_it_is_acknowledged(set_up: SetUp) -> None:
    """Gateways hear of it by the feed, and the audit log says why."""
    stage, told = await flooded(set_up, anomaly_throttle="stop")
    assert told.throttle == Throttle.STOP
    assert not (await stage.key()).is_active
    assert ("key", stage.key_id) in await events(stage)
    done = await acknowledge(stage, told.id, note="a test run")
    assert (done.state, done.acknowledged_by, done.note) == (ACKNOWLEDGED, "test", "a test run")
    assert done.throttle == Throttle.OFF
    assert (await stage.key()).is_active
    actions = await audited(stage)
    assert actions[-3:] == ["key.throttle", "key.lift_throttle", "anomaly.acknowledge"]


async def events(stage: Stage) -> list[tuple[str, int]]:
    async with stage.node.db.reading() as tx:
        rows = await tx.execute(sa.select(feed.c.kind, feed.c.subject).order_by(feed.c.seq))
        return [(row.kind, row.subject) for row in rows]


async def audited(stage: Stage) -> list[str]:
    async with stage.node.db.reading() as tx:
        return list((await tx.execute(sa.select(audit.c.action).order_by(audit.c.id))).scalars())


async def test_a_token_that_is_slowed_down_has_one_limit_more(set_up: SetUp) -> None:
    """And loses that one alone when it is lifted."""
    stage, told = await flooded(set_up, anomaly_throttle="slow", anomaly_throttle_per_minute=3)
    await stage.used(0, address="203.0.113.9")
    await stage.look()
    key = await stage.key()
    assert [(limit.span, limit.amount) for limit in key.limits] == [("minute", 3)], "one of them"
    limit_id = key.limits[0].id
    await acknowledge(stage, told.id)
    assert (await stage.key()).limits == []
    assert ("limit", limit_id) in await events(stage)


async def test_a_throttle_for_a_time_ends_by_itself(set_up: SetUp) -> None:
    """Whether or not anybody has looked."""
    stage, told = await flooded(set_up, anomaly_throttle="stop", anomaly_throttle_hours=2)
    assert told.throttled_until_ms is not None
    await end(stage.node)
    assert not (await stage.key()).is_active
    await stage.pass_time(3)
    await end(stage.node)
    assert (await stage.key()).is_active
    [over] = await stage.told()
    assert (over.state, over.throttle) == (OPEN, Throttle.OFF)


async def test_acknowledging_can_leave_the_throttle_and_lift_it_later(set_up: SetUp) -> None:
    """A token that was stolen stays stopped; nobody else can acknowledge it once more."""
    stage, told = await flooded(set_up, anomaly_throttle="stop", anomaly_throttle_hours=2)
    done = await acknowledge(stage, told.id, lift_throttle=False)
    assert (done.throttle, done.throttled_until_ms) == (Throttle.STOP, None)
    with pytest.raises(Refusal) as again:
        await acknowledge(stage, told.id, lift_throttle=False)
    assert again.value.code is Code.CONFLICT
    assert not (await stage.key()).is_active
    await acknowledge(stage, told.id)
    assert (await stage.key()).is_active
    with pytest.raises(Refusal):
        await acknowledge(stage, told.id)


async def test_an_event_that_is_acknowledged_goes_on_without_a_word(set_up: SetUp) -> None:
    """Somebody knows of it: it is neither told nor throttled again."""
    stage, told = await flooded(set_up, anomaly_throttle="stop")
    await acknowledge(stage, told.id)
    await stage.used(0, times=30)
    await stage.look()
    [grown] = await stage.told()
    assert grown.evidence.seen == 90
    assert (await stage.key()).is_active
    assert await stage.notices() == ["anomaly.volume"]


async def test_a_key_may_be_told_otherwise_than_the_setting_says(set_up: SetUp) -> None:
    """For one token a stop is an outage, for another it is what saves the day."""
    stage = await set_up(anomaly_throttle="stop")
    view = await stage.node.command(SetKeyThrottle(key=str(stage.key_id), throttle="off"))
    assert view == {"key_id": stage.key_id, "throttle": "off"}
    await stage.used(0, times=60)
    await stage.look()
    assert (await stage.key()).is_active
    with pytest.raises(Refusal) as refused:
        await stage.node.command(SetKeyThrottle(key=str(stage.key_id), throttle="faster"))
    assert refused.value.code is Code.BAD_REQUEST
    with pytest.raises(Refusal) as unknown:
        await stage.node.command(SetKeyThrottle(key="999", throttle="slow"))
    assert unknown.value.code is Code.NOT_FOUND


async def test_a_key_that_is_off_already_is_nobodys_to_switch_on_again(set_up: SetUp) -> None:
    """What an operator has stopped stays stopped when an anomaly of it is acknowledged."""
    stage = await set_up(anomaly_throttle="stop")
    await stage.node.command(PatchKey(key=str(stage.key_id), is_active=False))
    await stage.used(0, times=60)  # what a gateway had let through before
    await stage.look()
    [told] = await stage.told()
    await acknowledge(stage, told.id)
    assert not (await stage.key()).is_active


async def test_old_anomalies_and_sources_are_forgotten(set_up: SetUp) -> None:
    """What nobody asks for any more may not fill the store."""
    stage, _ = await flooded(set_up)
    await stage.pass_time(401 * 24)
    await end(stage.node)
    async with stage.node.db.writing() as tx:
        moved = {key_source.c.last_ms: key_source.c.last_ms - 181 * DAY_MS}
        await tx.execute(sa.update(key_source).values(moved))
    await stage.node.clerk.anomalies.clean()
    assert await stage.told() == []
    async with stage.node.db.reading() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(key_source)) == 0
