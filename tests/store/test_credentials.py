"""Credentials in both stores: one holder at a time, and nothing said of what has changed since."""

import asyncio

import pytest
import sqlalchemy as sa

from tallygate.core.commands import SaveProvider
from tallygate.core.credential import Outcome, State
from tallygate.core.credential_commands import CredentialView, NewCredential, PatchCredential
from tallygate.core.errors import Code, Refusal
from tallygate.core.sealing import Unsealable
from tallygate.store import credential_checks, credentials, keeper_runs, providers, rotation
from tallygate.store.credential_checks import Claim, Held, Result, Selection
from tallygate.store.database import Database
from tallygate.store.keeper_runs import AHEAD_MS_MAX, DEAD_MS, Pulse, Run
from tallygate.store.keeper_schema import credential, keeper_host
from tests.store.books import NOW_MS

pytestmark = pytest.mark.anyio

RING = bytes(range(32))
HOUR_MS = 3_600_000
ALL = Selection()


async def add(store: Database, token: str = "t", **more: object) -> CredentialView:
    fields = {"kind": "baoming", "name": "a card", "given": "secret"}
    new = NewCredential(parts={"secret": token}, **(fields | more))  # type: ignore[arg-type]  # a test's own words
    async with store.writing() as tx:
        return await credentials.insert(tx, RING, new, NOW_MS)


async def begin(store: Database, at_ms: int, name: str = "all") -> Run:
    async with store.writing() as tx:
        return await keeper_runs.open_run(tx, name, "me", at_ms, HOUR_MS)


async def claim(store: Database, run: Run, credential_id: int, at_ms: int) -> Claim | Held:
    async with store.writing() as tx:
        return await credential_checks.claim(tx, run, credential_id, at_ms)


async def end(store: Database, run: Run, result: Result, at_ms: int) -> State | None:
    async with store.writing() as tx:
        return await credential_checks.finish(tx, RING, run, result, at_ms)


async def seen(store: Database, credential_id: int) -> CredentialView:
    async with store.reading() as tx:
        found = await credentials.find(tx, credential_id)
    assert found is not None
    return found


def result(held: Claim | Held, outcome: Outcome | None, **more: object) -> Result:
    assert isinstance(held, Claim)
    return Result(id=held.id, version=held.version, outcome=outcome, **more)  # type: ignore[arg-type]  # a test's own words


async def test_a_secret_rests_sealed_and_is_known_again(store: Database) -> None:
    """Whoever reads the database reads no secret; the same one is not taken in twice."""
    made = await add(store, "s3cret-t0ken")
    assert (made.state, made.pool, made.last_used_ms) == (State.FRESH, "baoming", None)
    async with store.reading() as tx:
        row = (await tx.execute(sa.select(credential))).one()
    assert b"s3cret" not in repr(tuple(row)).encode()
    assert credentials.unseal(RING, made.id, bytes(row.sealed)) == {"secret": "s3cret-t0ken"}
    with pytest.raises(Unsealable):
        credentials.unseal(RING, made.id + 1, bytes(row.sealed))
    with pytest.raises(Refusal) as refused:
        await add(store, "s3cret-t0ken", name="another name")
    assert refused.value.code is Code.CONFLICT and "s3cret" not in refused.value.message
    assert (await add(store, "s3cret-t0ken", kind="openai-key")).id != made.id


async def test_of_many_who_want_it_one_holds_it(store: Database) -> None:
    """Two keepers that spend one single-use token at once would kill it."""
    made = await add(store)
    runs = [await begin(store, NOW_MS + n, f"selection {n}") for n in range(6)]
    held = await asyncio.gather(*(claim(store, run, made.id, NOW_MS + 9) for run in runs))
    assert sum(isinstance(one, Claim) for one in held) == 1
    assert {one for one in held if not isinstance(one, Claim)} == {Held.BUSY}
    assert (await seen(store, made.id)).state is State.CHECKING


async def test_what_a_dead_run_held_is_left_to_the_next_window(store: Database) -> None:
    """Nobody knows whether its request went out: sending it again might spend a token twice."""
    made = await add(store)
    dead = await begin(store, NOW_MS)
    assert isinstance(await claim(store, dead, made.id, NOW_MS + 1), Claim)
    joined = await begin(store, NOW_MS + 5)
    assert (joined.since_ms, joined.is_joined) == (NOW_MS, True)
    assert await claim(store, joined, made.id, NOW_MS + 6) is Held.BUSY
    late_ms = NOW_MS + DEAD_MS + 1
    assert await claim(store, joined, made.id, late_ms) is Held.BUSY, "no clock says that it died"
    async with store.writing() as tx:
        pulse = await keeper_runs.pulse_of_holder(tx, made.id)
        assert pulse == Pulse(dead.id, NOW_MS)
        await keeper_runs.give_up(tx, pulse, late_ms)
    assert await claim(store, joined, made.id, late_ms) is Held.INTERRUPTED
    totals = dict.fromkeys(keeper_runs.TOTALS, 0)
    async with store.writing() as tx:
        await keeper_runs.close_run(tx, joined, "all", totals, late_ms)
    following = await begin(store, late_ms + 1)
    assert not following.is_joined
    assert isinstance(await claim(store, following, made.id, late_ms + 2), Claim)


async def test_one_window_sees_each_credential_once(store: Database) -> None:
    """A run that is started again after a crash goes on; it does not begin anew."""
    first, second = await add(store, "a"), await add(store, "b")
    run = await begin(store, NOW_MS)
    async with store.writing() as tx:
        assert len(await credential_checks.choose(tx, run, ALL, NOW_MS)) == 2
    assert (await seen(store, second.id)).state is State.DUE
    held = await claim(store, run, first.id, NOW_MS + 1)
    assert await end(store, run, result(held, Outcome.VALID), NOW_MS + 2) is State.VALID
    again = await begin(store, NOW_MS + 3)
    async with store.writing() as tx:
        left = await credential_checks.choose(tx, again, ALL, NOW_MS + 3)
    assert [one.id for one in left] == [second.id]
    assert await claim(store, again, first.id, NOW_MS + 4) is Held.DONE


async def test_a_verdict_on_a_secret_that_changed_since_is_void(store: Database) -> None:
    """The old secret died because somebody else had just renewed it: the new one is healthy."""
    made = await add(store)
    run = await begin(store, NOW_MS)
    held = await claim(store, run, made.id, NOW_MS + 1)
    async with store.writing() as tx:
        change = PatchCredential(id=made.id, parts={"secret": "new"}, given="secret")
        await credentials.patch(tx, RING, change, NOW_MS + 2)
    assert await end(store, run, result(held, Outcome.INVALID), NOW_MS + 3) is None
    assert (await seen(store, made.id)).state is State.FRESH
    again = await claim(store, run, made.id, NOW_MS + 4)
    assert isinstance(again, Claim)
    assert credentials.unseal(RING, made.id, again.sealed) == {"secret": "new"}


async def test_a_new_secret_is_kept_even_by_who_was_given_up(store: Database) -> None:
    """It exists nowhere else: a single-use token was spent for it."""
    made = await add(store)
    slow = await begin(store, NOW_MS, "slow")
    held = await claim(store, slow, made.id, NOW_MS + 1)
    other = await begin(store, NOW_MS + DEAD_MS + 9, "other")
    async with store.writing() as tx:
        await keeper_runs.give_up(tx, Pulse(slow.id, NOW_MS), NOW_MS + DEAD_MS + 9)
    assert isinstance(await claim(store, other, made.id, NOW_MS + DEAD_MS + 9), Claim)
    renewed = result(held, Outcome.VALID, parts={"secret": "new"}, expires_ms=5)
    assert await end(store, slow, renewed, NOW_MS + DEAD_MS + 10) is State.VALID
    stale = result(held, Outcome.INVALID)
    assert await end(store, other, stale, NOW_MS + DEAD_MS + 11) is None
    assert (await seen(store, made.id)).state is State.VALID


async def test_unproven_failures_add_up_and_are_forgiven(store: Database) -> None:
    made = await add(store)
    for count in (1, 2):
        run = await begin(store, NOW_MS + count * 2 * HOUR_MS)
        at_ms = run.since_ms + 1
        held = await claim(store, run, made.id, at_ms)
        bad = result(held, Outcome.UNPROVEN, reason="HTTP 503")
        assert await end(store, run, bad, at_ms) is State.SUSPECT
        view = await seen(store, made.id)
        assert (view.failures, view.reason, view.last_used_ms) == (count, "HTTP 503", None)
    run = await begin(store, NOW_MS + 9 * HOUR_MS)
    held = await claim(store, run, made.id, run.since_ms + 1)
    await end(store, run, result(held, Outcome.VALID), run.since_ms + 2)
    view = await seen(store, made.id)
    assert (view.failures, view.reason, view.last_used_ms) == (0, "", run.since_ms + 2)


async def test_the_dead_wait_and_then_go_and_their_names_stay(store: Database) -> None:
    """Days of grace, in which a person may restore it; then its secret is gone for good."""
    made = await add(store)
    run = await begin(store, NOW_MS)
    held = await claim(store, run, made.id, NOW_MS + 1)
    assert await end(store, run, result(held, Outcome.INVALID), NOW_MS + 2) is State.QUARANTINED
    assert await claim(store, run, made.id, NOW_MS + 3) is Held.GONE
    async with store.writing() as tx:
        assert await credential_checks.bury(tx, NOW_MS + 1, NOW_MS + 4) == []
        restored = await credentials.restore(tx, made.id, NOW_MS + 5)
        assert restored.state is State.FRESH
        with pytest.raises(Refusal):
            await credentials.restore(tx, made.id, NOW_MS + 5)
    run = await begin(store, NOW_MS + 2 * HOUR_MS)
    held = await claim(store, run, made.id, run.since_ms + 1)
    await end(store, run, result(held, Outcome.INVALID), run.since_ms + 2)
    async with store.writing() as tx:
        gone = await credential_checks.bury(tx, run.since_ms + 2, run.since_ms + 3)
        assert gone == [(made.id, made.name)]
        assert (await tx.execute(sa.select(credential.c.sealed))).scalar() is None
        assert (await credentials.page(tx))[0] == []
        with pytest.raises(Refusal):
            await credentials.restore(tx, made.id, NOW_MS)
    back = await add(store, "t", name="given anew")
    assert (back.id, back.state) == (made.id, State.FRESH)


async def test_the_unused_are_cleaned_up_counted_from_creation(store: Database) -> None:
    day_ms = 86_400_000
    old = await add(store, "old", last_used_ms=NOW_MS - 31 * day_ms)
    await add(store, "young", last_used_ms=NOW_MS - 29 * day_ms)
    await add(store, "never used, just made")
    async with store.writing() as tx:
        since_ms = NOW_MS - 30 * day_ms
        would = await credential_checks.clean(tx, since_ms, NOW_MS, is_dry_run=True)
        assert len((await credentials.page(tx))[0]) == 3
        gone = await credential_checks.clean(tx, since_ms, NOW_MS, is_dry_run=False)
        assert would == gone == [(old.id, old.name)]
        later = NOW_MS + 31 * day_ms
        rest = await credential_checks.clean(tx, later - 30 * day_ms, later, is_dry_run=False)
        assert len(rest) == 2


async def test_a_run_may_look_at_some_only(store: Database) -> None:
    """Used lately, about to end, or asked for."""
    used = await add(store, "used", last_used_ms=NOW_MS - 1)
    await add(store, "unused", last_used_ms=NOW_MS - 9 * HOUR_MS)
    fresh = await add(store, "fresh")
    run = await begin(store, NOW_MS + 1)
    async with store.writing() as tx:
        await credentials.want_check(tx, fresh.id, NOW_MS)
        await tx.execute(
            sa.update(credential).where(credential.c.id == used.id).values(expires_ms=NOW_MS + 5)
        )
        lately = Selection(used_since_ms=NOW_MS - HOUR_MS)
        for wanted, ids in (
            (lately, {used.id, fresh.id}),
            (Selection(due_before_ms=NOW_MS + 5), {used.id, fresh.id}),
            (Selection(due_before_ms=NOW_MS + 4), {fresh.id}),
            (Selection(ids=(used.id,)), {used.id}),
        ):
            found = await credential_checks.preview(tx, run.since_ms, wanted, NOW_MS + 1)
            assert {one.id for one in found} == ids


async def test_a_host_is_promised_to_one_at_a_time(store: Database) -> None:
    """Keepers of several machines keep one distance together."""

    async def reserve(at_ms: int) -> int:
        async with store.writing() as tx:
            return await keeper_runs.reserve(tx, "h:443", at_ms, 1000)

    moments = sorted(await asyncio.gather(*(reserve(NOW_MS) for _ in range(5))))
    assert moments == [NOW_MS + 1000 * n for n in range(5)]
    assert await reserve(NOW_MS + 60_000) == NOW_MS + 60_000
    async with store.reading() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(keeper_host)) == 1


async def test_a_moment_of_a_wrong_clock_is_not_waited_for(store: Database) -> None:
    """A host reserved by a clock that was hours ahead would be left alone for hours."""

    async def reserve(at_ms: int) -> int:
        async with store.writing() as tx:
            return await keeper_runs.reserve(tx, "h:443", at_ms, 1000)

    assert await reserve(NOW_MS + 5 * HOUR_MS) == NOW_MS + 5 * HOUR_MS
    assert await reserve(NOW_MS) == NOW_MS
    assert await reserve(NOW_MS) == NOW_MS + 1000
    assert await reserve(NOW_MS + 2000 - AHEAD_MS_MAX) == NOW_MS + 2000
    assert await reserve(NOW_MS + 2999 - AHEAD_MS_MAX) == NOW_MS + 2999 - AHEAD_MS_MAX


async def test_a_sign_of_life_moves_on_though_the_clock_was_set_back(store: Database) -> None:
    """By it alone others see that a run lives; who gave it up was wrong, and is corrected."""
    made = await add(store)
    run = await begin(store, NOW_MS)
    assert isinstance(await claim(store, run, made.id, NOW_MS), Claim)
    signs = []
    for at_ms in (NOW_MS, NOW_MS - 5 * HOUR_MS, NOW_MS + 1):
        async with store.writing() as tx:
            await keeper_runs.beat(tx, run.id, at_ms)
            signs.append(await keeper_runs.pulse_of_holder(tx, made.id))
    assert len({sign.alive_ms for sign in signs if sign is not None}) == 3
    other = await begin(store, NOW_MS + 2, "other")
    async with store.writing() as tx:
        await keeper_runs.give_up(tx, Pulse(run.id, NOW_MS), NOW_MS + 3)
    assert await claim(store, other, made.id, NOW_MS + 3) is Held.BUSY, "it has moved since"
    async with store.writing() as tx:
        last = signs[-1]
        assert last is not None
        await keeper_runs.give_up(tx, last, NOW_MS + 4)
        await keeper_runs.beat(tx, run.id, NOW_MS + 5)
    assert await claim(store, other, made.id, NOW_MS + 6) is Held.BUSY, "it spoke again"


async def test_windows_and_checks_of_a_clock_that_was_set_back_do_not_count(
    store: Database,
) -> None:
    """Hours would pass in which nothing is checked."""
    made = await add(store)
    ahead_ms = NOW_MS + 5 * HOUR_MS
    run = await begin(store, ahead_ms)
    held = await claim(store, run, made.id, ahead_ms + 1)
    await end(store, run, result(held, Outcome.VALID), ahead_ms + 2)
    back = await begin(store, NOW_MS)
    assert not back.is_joined
    async with store.writing() as tx:
        assert len(await credential_checks.choose(tx, back, ALL, NOW_MS)) == 1
    held = await claim(store, back, made.id, NOW_MS + 1)
    assert await end(store, back, result(held, Outcome.VALID), NOW_MS + 2) is State.VALID
    async with store.writing() as tx:
        assert await credential_checks.choose(tx, back, ALL, NOW_MS + 3) == []


async def test_everything_is_sealed_anew_and_either_key_opens_meanwhile(store: Database) -> None:
    """Rotation may be stopped at any row: what is done opens with the new key, the rest with the
    old one, and a second pass finishes."""
    new_key = bytes(range(100, 132))
    made = [await add(store, f"t{n}") for n in range(rotation.ROWS_PER_PORTION + 3)]
    async with store.writing() as tx:
        change = SaveProvider(name="p", is_new=True, base_url="https://h", secret="sk-1")
        await providers.save(tx, RING, change, None, NOW_MS)
    ring = new_key + RING
    report = await rotation.reseal(store, ring)
    assert (report.sealed_anew, report.done_before, report.shut) == (len(made) + 1, 0, 0)
    again = await rotation.reseal(store, ring)
    assert (again.sealed_anew, again.done_before) == (0, len(made) + 1)
    async with store.reading() as tx:
        for row in await tx.execute(sa.select(credential.c.id, credential.c.sealed)):
            assert credentials.unseal(new_key, row.id, bytes(row.sealed))["secret"][0] == "t"
        snapshot, shut = await providers.snapshot(tx, new_key, None, providers.demo("x"))
    assert (snapshot.providers[0].secret, shut) == ("sk-1", [])


async def test_what_no_key_opens_is_left_as_it_is(store: Database) -> None:
    """A secret of a lost key is counted, not destroyed: the key may be found again."""
    made = await add(store)
    other = bytes(range(32, 64)) + bytes(range(64, 96))
    assert (await rotation.reseal(store, other)).shut == 1
    async with store.reading() as tx:
        sealed = bytes(await tx.scalar(sa.select(credential.c.sealed)))
    assert credentials.unseal(RING, made.id, sealed) == {"secret": "t"}


def test_every_sealed_column_is_known_to_rotation() -> None:
    """One that is forgotten would be lost with the old key."""
    known = {(one.table.name, one.column.name) for one in rotation.SEALED}
    sealed = {
        (table.name, column.name)
        for table in credential.metadata.tables.values()
        for column in table.columns
        if column.name == "sealed"
    }
    assert sealed | {("idempotency", "answer")} == known
