"""Limits of users and teams: every key that belongs to them is under them, at once."""

import pytest

from tallygate.core.account_commands import CreateTeam, CreateUser
from tallygate.core.commands import CreateKey, KeyView, LimitSpec
from tallygate.core.errors import Code, Refusal
from tallygate.core.limit_commands import LimitsView, SetLimits
from tallygate.core.limits import Dimension
from tallygate.store import keys, limits
from tests.clerk.conftest import MakeNode

pytestmark = pytest.mark.anyio

POINTS = LimitSpec(dimension="points", span="total", amount=1)


@pytest.mark.parametrize("kind", ["user", "team"])
async def test_keys_are_under_the_limits_of_their_user_and_team(
    make_node: MakeNode, kind: str
) -> None:
    """Of keys that are there already, too: gateways are told to look at them again."""
    node = await make_node()
    await node.command(CreateUser(id="a"))
    await node.command(CreateTeam(id="a", name="A"))
    made = await node.command(CreateKey(user_id="a", team_id="a"), into=KeyView)
    other = await node.command(CreateKey(), into=KeyView)
    worker = await node.worker(0)
    wanted = SetLimits(subject_kind=kind, subject_id="a", limits=[POINTS])
    view = await node.command(wanted, into=LimitsView)
    [limit] = view.limits
    assert (limit.dimension, limit.amount) == (Dimension.POINTS, 1)
    await worker.hear_change("key", made.id)
    await worker.hear_change("limit", limit.id)
    async with node.db.reading() as tx:
        assert await keys.ids_of(tx, kind, "a", 10) == [made.id]
        found = await limits.of_subjects(tx, [("key", str(made.id)), (kind, "a")])
        assert limit in found
        assert limit not in await limits.of_subjects(tx, [("key", str(other.id))])


async def test_a_limit_that_stays_keeps_its_counter_when_its_amount_changes(
    make_node: MakeNode,
) -> None:
    node = await make_node()
    await node.command(CreateUser(id="a"))
    first = SetLimits(subject_kind="user", subject_id="a", limits=[POINTS])
    [before] = (await node.command(first, into=LimitsView)).limits
    more = LimitSpec(dimension="points", span="total", amount=2)
    second = SetLimits(subject_kind="user", subject_id="a", limits=[more])
    [after] = (await node.command(second, into=LimitsView)).limits
    assert (after.id, after.amount) == (before.id, 2)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (SetLimits(subject_kind="user", subject_id="x", limits=[]), Code.NOT_FOUND),
        (SetLimits(subject_kind="team", subject_id="x", limits=[]), Code.NOT_FOUND),
        (SetLimits(subject_kind="key", subject_id="1", limits=[]), Code.BAD_REQUEST),
        (SetLimits(subject_kind="user", subject_id="a", limits=[POINTS] * 33), Code.BAD_REQUEST),
    ],
)
async def test_limits_of_nobody_are_refused(
    make_node: MakeNode, wanted: SetLimits, code: Code
) -> None:
    node = await make_node()
    await node.command(CreateUser(id="a"))
    with pytest.raises(Refusal) as refusal:
        await node.command(wanted)
    assert refusal.value.code is code
