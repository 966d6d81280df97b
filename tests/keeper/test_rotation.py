"""The master key is rotated while a keeper is in the middle of its run."""

from pathlib import Path

import pytest

from tallygate.core.credential import Outcome, State
from tallygate.keeper.book import StoreBook
from tallygate.store import credentials, rotation
from tallygate.store.credential_checks import Claim, Result, Selection
from tallygate.store.database import Database
from tallygate.supervisor import folder
from tests.store.books import NOW_MS
from tests.store.test_credentials import NewCredential

pytestmark = pytest.mark.anyio


async def test_what_is_renewed_during_a_rotation_opens_under_the_new_key(
    store: Database, tmp_path: Path
) -> None:
    """Its single-use token is spent: sealed under the old key it would be lost with that key."""
    new = NewCredential(
        kind="oauth2", name="n", parts={"refresh_token": "r1"}, given="refresh_token"
    )
    async with store.writing() as tx:
        old_ring = folder.master_key(tmp_path, None)
        made = await credentials.insert(tx, old_ring, new, NOW_MS)
    book = StoreBook(store, lambda: folder.master_key(tmp_path, None), owner="me", grace_ms=1)
    run = await book.open("all", 3_600_000)
    (choice,) = await book.choose(run, Selection())
    held = await book.claim(run, choice.id)
    assert isinstance(held, Claim)
    folder.begin_next_key(tmp_path)
    folder.turn_to_next_key(tmp_path)
    assert (await rotation.reseal(store, folder.master_key(tmp_path, None))).sealed_anew == 1
    assert book.unseal(held) == {"refresh_token": "r1"}, "the old key opens until it is forgotten"
    parts = {"refresh_token": "r2", "access_token": "a"}
    result = Result(id=held.id, version=held.version, outcome=Outcome.VALID, parts=parts)
    assert await book.finish(run, result) is State.VALID
    folder.forget_old_key(tmp_path)
    ring = folder.master_key(tmp_path, None)
    async with store.reading() as tx:
        (pooled,), shut = await credentials.of_pools(tx, ring, {"oauth2"})
    assert (pooled.id, pooled.parts, shut) == (made.id, parts, [])
