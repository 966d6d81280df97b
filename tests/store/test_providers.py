"""Providers, the demo and delivery idempotency, on both stores."""

import pytest

from tallygate.core.commands import SaveProvider
from tallygate.core.errors import Refusal
from tallygate.store import idempotency, providers
from tallygate.store.database import Database, Tx
from tallygate.store.idempotency import State

pytestmark = pytest.mark.anyio

MASTER_KEY = b"m" * 32
DEMO = providers.demo("/run/control.sock")
NEW = SaveProvider(name="one", is_new=True, base_url="https://one.example/v1", secret="sk-1")


async def names(tx: Tx, from_settings: providers.Provider | None = None) -> list[str]:
    found, _ = await providers.snapshot(tx, MASTER_KEY, from_settings, DEMO)
    return [one.name for one in found.providers]


async def test_the_demo_is_there_until_a_provider_was_ever_configured(store: Database) -> None:
    """It must never answer where an operator expects a model."""
    async with store.writing() as tx:
        assert await names(tx) == ["demo"]
        await providers.save(tx, MASTER_KEY, NEW, None, 1)
        assert await names(tx) == ["one"]
        await providers.delete(tx, "one", None)
        assert await names(tx) == []


async def test_the_provider_of_the_settings_gives_way_to_a_row_of_its_name(
    store: Database,
) -> None:
    """The seed's settings keep working, and can be taken over by the API."""
    ours = providers.deepseek("sk-env", "https://api.deepseek.com/v1")
    async with store.writing() as tx:
        assert await names(tx, ours) == ["deepseek"]
        with pytest.raises(Refusal, match="DEEPSEEK_API_KEY"):
            change = SaveProvider(name="deepseek", is_new=False, weight=2)
            await providers.save(tx, MASTER_KEY, change, ours, 1)
        row = SaveProvider(name="deepseek", is_new=True, base_url="https://x.example", secret="s")
        await providers.save(tx, MASTER_KEY, row, ours, 1)
        found, _ = await providers.snapshot(tx, MASTER_KEY, ours, DEMO)
        assert [(one.name, one.secret) for one in found.providers] == [("deepseek", "s")]
        listed = await providers.list_all(tx, ours)
        assert [one.is_from_settings for one in listed] == [False]


async def test_a_secret_opens_with_its_master_key_only(store: Database) -> None:
    """A stolen database is worth no provider's account."""
    async with store.writing() as tx:
        await providers.save(tx, MASTER_KEY, NEW, None, 1)
        found, shut = await providers.snapshot(tx, MASTER_KEY, None, DEMO)
        assert (found.providers[0].secret, shut) == ("sk-1", [])
        assert (await providers.snapshot(tx, b"x" * 32, None, DEMO))[1] == ["one"]


async def test_a_secret_that_stays_shut_leaves_the_other_providers_in_use(store: Database) -> None:
    """One row from another installation must not stop every request of this one."""
    async with store.writing() as tx:
        await providers.save(tx, b"x" * 32, NEW, None, 1)
        other = SaveProvider(name="two", is_new=True, base_url="https://two.example", secret="s")
        await providers.save(tx, MASTER_KEY, other, None, 1)
        found, shut = await providers.snapshot(tx, MASTER_KEY, None, DEMO)
        assert ([one.name for one in found.providers], shut) == (["two"], ["one"])
        idle = SaveProvider(name="one", is_new=False, is_active=False)
        await providers.save(tx, MASTER_KEY, idle, None, 1)
        assert (await providers.snapshot(tx, MASTER_KEY, None, DEMO))[1] == []


async def claim(tx: Tx, payload: bytes = b"p" * 32, now_ms: int = 0) -> idempotency.Earlier:
    return await idempotency.claim(
        tx,
        MASTER_KEY,
        scope="s",
        key="k",
        payload_hash=payload,
        owner="boot 1",
        request_id="req_1",
        now_ms=now_ms,
        keep_ms=1000,
    )


async def finish(tx: Tx) -> None:
    await idempotency.finish(
        tx, MASTER_KEY, scope="s", key="k", status=200, content_type="t", answer=b"roc_secret"
    )


async def test_a_delivery_is_claimed_once_and_then_answered_alike(store: Database) -> None:
    """The same call sent twice is run once."""
    async with store.writing() as tx:
        assert (await claim(tx)).state is State.NEW
        assert (await claim(tx)).state is State.RUNNING
        assert (await claim(tx, b"q" * 32)).state is State.CONFLICT
        await finish(tx)
        done = await claim(tx)
        assert (done.state, done.status, done.answer) == (State.DONE, 200, b"roc_secret")
        assert (await claim(tx, b"q" * 32)).state is State.CONFLICT
        assert (await claim(tx, b"q" * 32, now_ms=1000)).state is State.NEW


async def test_what_a_dead_worker_had_claimed_is_free_again(store: Database) -> None:
    """Its client will try again, with the same key."""
    async with store.writing() as tx:
        await claim(tx)
        await idempotency.release_owner(tx, "boot 2")
        assert (await claim(tx)).state is State.RUNNING
        await idempotency.release_owner(tx, "boot 1")
        assert (await claim(tx)).state is State.NEW
        await finish(tx)
        await idempotency.release_owner(tx, "boot 1")
        await idempotency.release(tx, scope="s", key="k")
        assert (await claim(tx)).state is State.DONE


async def test_an_answer_that_holds_a_key_rests_sealed(store: Database) -> None:
    """Creating a key is a call like any other: its answer holds the whole secret."""
    async with store.writing() as tx:
        await claim(tx)
        await finish(tx)
        (row,) = (await tx.execute(idempotency._records.select())).all()
        assert b"roc_secret" not in bytes(row.answer)
