"""PostgreSQL wakes the clerks of other nodes, so that they need not wait for their next look."""

import asyncio

import pytest
import sqlalchemy as sa

from tallygate.clerk import feed
from tallygate.core.commands import CreateKey, DeleteKey
from tallygate.store import postgresql
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import WAIT_S, Node, Worker

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def looks_are_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is heard in time in these tests was announced."""
    monkeypatch.setattr(feed, "POLL_S", 3600.0)
    monkeypatch.setattr(postgresql, "LISTEN_AGAIN_S", 0.01)


async def a_revocation_is_heard(writer: Node, listener: Worker) -> None:
    view = await writer.command(CreateKey())
    await writer.command(DeleteKey(key=str(view["id"])))
    await listener.hear_change("key", view["id"])


async def test_a_revocation_wakes_the_clerks_of_other_nodes(
    postgresql_url: str, make_node: MakeNode
):
    """A revoked key stops everywhere within a second; a look each 200 ms is what is left of it
    when notices do not come."""
    one, two = [await make_node(name, postgresql_url) for name in ("one", "two")]
    await until_listening(two, 2)
    await a_revocation_is_heard(one, await two.worker(0))


async def test_a_lost_connection_is_made_again_and_what_was_missed_is_read(
    postgresql_url: str, make_node: MakeNode
):
    one, two = [await make_node(name, postgresql_url) for name in ("one", "two")]
    worker = await two.worker(0)
    await until_listening(one, 2)
    async with one.db.writing() as tx:
        await tx.execute(sa.text(f"SELECT pg_terminate_backend(pid) FROM {LISTENING}"))
    view = await one.command(CreateKey())
    await worker.hear_change("key", view["id"])
    await until_listening(one, 2)
    await a_revocation_is_heard(one, worker)


LISTENING = (
    "pg_stat_activity WHERE application_name = 'tallygate' AND query LIKE 'LISTEN%' "
    "AND datname = current_database()"
)


async def until_listening(node: Node, clerks: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while await listening(node) != clerks:  # noqa: ASYNC110 - PostgreSQL tells nobody
            await asyncio.sleep(0.01)


async def listening(node: Node) -> int:
    async with node.db.reading() as tx:
        return int(await tx.scalar(sa.text(f"SELECT count(*) FROM {LISTENING}")))
