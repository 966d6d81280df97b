"""Keys: found by whoever holds the secret, for as long as it is good; shown, changed, forgotten."""

import pytest

from tallygate.core.keys import hash_key
from tallygate.core.limits import Dimension, Limit
from tallygate.core.windows import Span
from tallygate.store import keys, limits
from tallygate.store.database import Database, Tx
from tests.store.books import NOW_MS

pytestmark = pytest.mark.anyio

SECRET = "roc_abc"


async def add(tx: Tx, secret: str = SECRET, **values: object) -> int:
    key_id = await keys.insert_key(tx, kind="roc", label="mine", now_ms=NOW_MS, **values)  # type: ignore[arg-type]  # any column
    await keys.add_secret(
        tx, key_id, key_hash=hash_key(secret.encode()), masked="roc_…", sealed=b"s", now_ms=NOW_MS
    )
    return key_id


async def test_a_key_is_found_with_the_limits_of_all_it_belongs_to(store: Database) -> None:
    """Admission sees one list, in the one order in which counters are taken."""
    async with store.writing() as tx:
        key_id = await add(tx, user_id="u", team_id="t", models=["m*"], scopes=["a", "b"])
        made = []
        for kind, subject in (("team", "t"), ("key", str(key_id)), ("user", "u"), ("user", "x")):
            what = limits.NewLimit(Dimension.TOKENS, Span.MONTH, "Asia/Taipei", 7)
            made.append(await limits.insert(tx, kind, subject, what, NOW_MS, is_daily=False))
        found = await keys.find_by_hash(tx, hash_key(SECRET.encode()), NOW_MS)
    assert found is not None
    assert (found.id, found.kind, found.is_active, found.expires_ms) == (key_id, "roc", True, None)
    assert (found.models, found.addresses, found.scopes) == (("m*",), None, ("a", "b"))
    assert found.limits == tuple(
        Limit(number, Dimension.TOKENS, Span.MONTH, "Asia/Taipei", 7) for number in made[:3]
    )


async def test_an_unknown_a_deleted_and_an_outlived_secret_are_all_unknown(
    store: Database,
) -> None:
    """Three ways to have no key look alike from outside."""
    key_hash = hash_key(SECRET.encode())
    async with store.writing() as tx:
        assert await keys.find_by_hash(tx, key_hash, NOW_MS) is None
        key_id = await add(tx)
        await keys.expire_secrets(tx, key_id, NOW_MS + 10)
        found = await keys.find_by_hash(tx, key_hash, NOW_MS + 9)
        assert found is not None
        assert found.expires_ms == NOW_MS + 10
        assert await keys.find_by_hash(tx, key_hash, NOW_MS + 10) is None
        assert await keys.delete(tx, key_id, NOW_MS)
        assert not await keys.delete(tx, key_id, NOW_MS)
        assert await keys.find_by_hash(tx, key_hash, NOW_MS) is None


async def test_both_secrets_of_a_rotated_key_work_until_the_grace_ends(store: Database) -> None:
    """The earlier of the key's end and the secret's is what the gateway enforces."""
    async with store.writing() as tx:
        key_id = await add(tx, expires_ms=NOW_MS + 100)
        await keys.expire_secrets(tx, key_id, NOW_MS + 10)
        await keys.expire_secrets(tx, key_id, NOW_MS + 50)
        new = {"key_hash": hash_key(b"new"), "masked": "new", "sealed": None}
        await keys.add_secret(tx, key_id, **new, now_ms=NOW_MS + 1)  # type: ignore[arg-type]  # mixed values
        old_one = await keys.find_by_hash(tx, hash_key(SECRET.encode()), NOW_MS)
        new_one = await keys.find_by_hash(tx, hash_key(b"new"), NOW_MS)
        view = await keys.find_view(tx, SECRET)
    assert old_one is not None and new_one is not None and view is not None
    assert (old_one.expires_ms, new_one.expires_ms) == (NOW_MS + 10, NOW_MS + 100)
    assert (view.id, view.masked, view.sealed) == (key_id, "new", None)


async def test_a_key_is_shown_by_its_id_and_by_its_secret(store: Database) -> None:
    """A secret that is all digits is not mistaken for somebody else's id."""
    async with store.writing() as tx:
        first = await add(tx)
        second = await add(tx, secret="987654321")
        by_id = await keys.find_view(tx, str(first))
        by_secret = await keys.find_view(tx, "987654321")
        assert by_id is not None and by_secret is not None
        assert (by_id.id, by_secret.id) == (first, second)
        for nothing in ("", "0", "9" * 40, "roc_other", "１", "\udc80"):
            assert await keys.find_view(tx, nothing) is None
        await keys.delete(tx, first, NOW_MS)
        assert await keys.find_view(tx, str(first)) is None
        assert await keys.find_view(tx, SECRET) is None


async def test_the_daily_limit_stands_apart_from_the_others(store: Database) -> None:
    """/admin/keys shows it and PATCH replaces all but it."""
    async with store.writing() as tx:
        key_id = await add(tx)
        view = await keys.find_view(tx, str(key_id))
        assert view is not None
        assert (view.daily_limit, view.has_daily_limit, view.limits) == (None, False, [])
        first = await limits.set_daily(tx, key_id, 5, "UTC", NOW_MS)
        assert await limits.set_daily(tx, key_id, 5, "UTC", NOW_MS) == []
        assert await limits.set_daily(tx, key_id, None, "UTC", NOW_MS) == first
        wanted = [limits.NewLimit(Dimension.TOKENS, Span.HOUR, "UTC", 9)]
        (made,) = await limits.replace(tx, "key", str(key_id), wanted, NOW_MS)
        view = await keys.find_view(tx, str(key_id))
        assert view is not None
        assert (view.daily_limit, view.has_daily_limit) == (None, True)
        assert view.limits == [Limit(made, Dimension.TOKENS, Span.HOUR, "UTC", 9)]


async def test_a_limit_replaced_by_its_like_keeps_its_counters(store: Database) -> None:
    """Raising a limit must not forget what was used of it."""
    async with store.writing() as tx:
        tokens = limits.NewLimit(Dimension.TOKENS, Span.HOUR, "UTC", 9)
        more = limits.NewLimit(Dimension.TOKENS, Span.HOUR, "UTC", 10)
        other = limits.NewLimit(Dimension.REQUESTS, Span.HOUR, "UTC", 1)
        (first,) = await limits.replace(tx, "user", "u", [tokens], NOW_MS)
        assert await limits.replace(tx, "user", "u", [tokens], NOW_MS) == []
        assert await limits.replace(tx, "user", "u", [more], NOW_MS) == [first]
        changed = await limits.replace(tx, "user", "u", [other], NOW_MS)
        assert changed[0] == first
        assert len(changed) == 2
        left = await limits.of_subjects(tx, [("user", "u"), ("team", "")])
        assert [limit.dimension for limit in left] == [Dimension.REQUESTS]
        assert not await limits.patch(tx, first, 3)
        assert not await limits.delete(tx, first, NOW_MS)


async def test_keys_are_listed_in_pages_without_the_deleted(store: Database) -> None:
    """`after_id` is the last id of the page before."""
    async with store.writing() as tx:
        ids = [await add(tx, secret=f"s{number}") for number in range(5)]
        await keys.delete(tx, ids[1], NOW_MS)
        first = await keys.list_views(tx, 2)
        rest = await keys.list_views(tx, 10, first[-1].id)
    assert [view.id for view in [*first, *rest]] == [ids[0], *ids[2:]]


async def test_a_patch_changes_only_what_it_names(store: Database) -> None:
    """None means none: it is not the same as leaving a value alone."""
    async with store.writing() as tx:
        key_id = await add(tx, models=["a"], addresses=["10.0.0.0/8"])
        assert await keys.patch(tx, key_id, label="new", models=None, is_active=False)
        assert await keys.patch(tx, key_id)
        view = await keys.find_view(tx, str(key_id))
        assert view is not None
        assert (view.label, view.models, view.is_active) == ("new", None, False)
        assert view.addresses == ["10.0.0.0/8"]
        await keys.delete(tx, key_id, NOW_MS)
        assert not await keys.patch(tx, key_id, label="gone")


async def test_unused_keys_are_those_old_enough_to_have_been_used(store: Database) -> None:
    """A key made yesterday is not unused for a week."""
    async with store.writing() as tx:
        old = await add(tx, secret="a", created_ms=NOW_MS - 100)
        used = await add(tx, secret="b", created_ms=NOW_MS - 100)
        await add(tx, secret="c", created_ms=NOW_MS)
        await keys.touch_last_used(tx, {used: NOW_MS})
        assert await keys.unused_since(tx, NOW_MS - 50) == [old]
