"""Charges by webhook through real processes: each event once, whatever happens on the way."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from tallygate.store.database import Database
from tallygate.store.money_schema import charge, wallet
from tests.store.purse import POINT, differences
from tests.system.conftest import MakeNode
from tests.system.harness import Node, until

pytestmark = pytest.mark.slow

KEY = "the-webhooks-own-key"
SETTINGS = {"TALLYGATE_DIFY_WEBHOOK_KEY": KEY}
PATIENCE_S = 120


def message(number: int, *, tokens: int = 1000, user: str = "ann") -> dict[str, Any]:
    """1,000 tokens are a point."""
    data = {"message_id": f"m-{number}", "user_id": user, "model_name": "test-model"}
    return {
        "event": "message_end",
        "data": {**data, "input_tokens": tokens, "output_tokens": 0, "total_tokens": tokens},
    }


def furnish(node: Node, points: int) -> None:
    node.admin("POST", "/api/users", {"id": "ann", "name": "Ann"})
    if points:
        node.admin("POST", "/api/users/ann/wallet/top-up", {"points": points})
    price = {"model_name": "test-model", "currency": "points", "per_tokens": 1000}
    node.admin("POST", "/api/models", price | {"input_token_price": 1, "output_token_price": 1})


async def post_all(
    urls: Sequence[str], bodies: Sequence[Any], *, is_repeated: bool = False
) -> list[tuple[int, Any]]:
    """All at once, in turns to the nodes; repeated, as senders do, until there is an answer."""

    async def post(session: aiohttp.ClientSession, url: str, body: Any) -> tuple[int, Any]:
        while True:
            try:
                async with session.post(f"{url}/api/dify/webhook", json=body) as answer:
                    found = answer.status, await answer.json()
            except (aiohttp.ClientError, ConnectionError):
                found = 503, None
            if found[0] != 503 or not is_repeated:
                return found
            await asyncio.sleep(0.02)

    connector = aiohttp.TCPConnector(limit=256)
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    headers = {"X-API-Key": KEY}
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=headers
    ) as session:
        asked = [post(session, urls[n % len(urls)], body) for n, body in enumerate(bodies)]
        return list(await asyncio.gather(*asked))


async def read(node: Node) -> tuple[int, int, list[Any]]:
    """Charges, what is left in points, and what the ledger's own check says."""
    db = Database(node.store_url)
    await db.open(may_create=False)
    try:
        async with db.reading() as tx:
            count = int(await tx.scalar(sa.select(sa.func.count()).select_from(charge)))
            left = int(await tx.scalar(sa.select(wallet.c.balance_micros)))
        return count, left // POINT, await differences(db)
    finally:
        await db.close()


def test_a_thousand_deliveries_of_one_event_are_one_charge(
    make_node: MakeNode, database_url: str | None
) -> None:
    """A sender whose answers got lost repeats itself; all copies are told the same."""
    node = make_node(workers=2, database_url=database_url, settings=SETTINGS)
    furnish(node, 100)
    answers = asyncio.run(post_all([node.url], [message(1)] * 1000))
    assert {status for status, _ in answers} == {200}
    assert {answer["data"]["consumptionId"] for _, answer in answers} == {"cons_1"}
    assert {json.dumps(answer["data"]["pointsDeducted"]) for _, answer in answers} == {"1"}
    assert asyncio.run(read(node)) == (1, 99, [])
    [(status, answer)] = asyncio.run(post_all([node.url], [message(1, tokens=999)]))
    assert (status, answer["error"]["code"]) == (409, "event_conflict")
    assert asyncio.run(read(node)) == (1, 99, [])


def test_callers_race_for_money_that_covers_three(
    make_node: MakeNode, database_url: str | None
) -> None:
    """Over several workers and, with a shared store, several nodes: never a point too much."""
    count = 2 if database_url else 1
    nodes = [
        make_node(workers=2, database_url=database_url, settings=SETTINGS) for _ in range(count)
    ]
    furnish(nodes[0], 3)
    urls = [node.url for node in nodes]
    answers = asyncio.run(post_all(urls, [message(number) for number in range(10)]))
    assert Counter(status for status, _ in answers) == {200: 3, 402: 7}
    assert asyncio.run(read(nodes[0])) == (10, 0, [])
    nodes[0].admin("POST", "/api/users/ann/wallet/top-up", {"points": 7})
    again = asyncio.run(post_all(urls, [message(number) for number in range(10)]))
    assert {status for status, _ in again} == {200}
    assert asyncio.run(read(nodes[0])) == (10, 0, [])


def test_a_clerk_that_is_killed_under_load_neither_loses_nor_doubles(
    make_node: MakeNode, database_url: str | None
) -> None:
    """Whoever was told 200 is on the books; whoever was not delivers again and is, once."""
    node = make_node(workers=2, database_url=database_url, settings=SETTINGS)
    furnish(node, 5000)
    bodies = [message(number % 500) for number in range(2000)]
    found: list[tuple[int, Any]] = []
    load = threading.Thread(
        target=lambda: found.extend(asyncio.run(post_all([node.url], bodies, is_repeated=True)))
    )
    load.start()
    until(lambda: asyncio.run(read(node))[0] > 20, "some are charged")
    killed = node.kill("clerk")
    node.wait_refilled("clerk", killed)
    load.join(PATIENCE_S)
    assert Counter(status for status, _ in found) == {200: 2000}
    names = {(body["data"]["message_id"]) for body in bodies}
    assert len({answer["data"]["consumptionId"] for _, answer in found}) == len(names)
    assert asyncio.run(read(node)) == (500, 4500, [])


def test_an_operator_sees_what_was_refused_and_sends_it_again(make_node: MakeNode) -> None:
    """From the refused delivery to the charge, by the API alone."""
    node = make_node(workers=1, settings=SETTINGS)
    furnish(node, 100)
    [(status, _)] = asyncio.run(post_all([node.url], [message(1, user="bob")]))
    assert status == 422
    [letter] = node.admin("GET", "/api/dead-letters")["items"]
    assert letter["code"] == "unknown_user"
    node.admin("POST", "/api/users", {"id": "bob", "name": "Bob"})
    node.admin("POST", "/api/users/bob/wallet/top-up", {"points": 5})
    replayed = node.admin("POST", f"/api/dead-letters/{letter['id']}/replay")
    shown = node.admin("GET", f"/api/charges/{replayed['charges'][0]['id']}")
    assert shown["charge"]["points"] == 1
    assert shown["replay"]["is_same"] is True
    assert node.admin("GET", "/api/users/bob/wallet")["balance"] == 4


def test_the_live_stream_does_not_hold_up_a_stop(make_node: MakeNode) -> None:
    """Somebody is always looking; a restart must not wait for them."""
    node = make_node(workers=1, settings=SETTINGS)
    furnish(node, 100)
    seen: list[bytes] = []

    async def look() -> None:
        headers = {"Authorization": f"Bearer {node.settings['ADMIN_TOKEN']}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{node.url}/api/consumption/live") as answer,
        ):
            try:
                async for piece in answer.content.iter_any():
                    seen.append(piece)
            except aiohttp.ClientError:
                return

    looking = threading.Thread(target=lambda: asyncio.run(look()))
    looking.start()
    until(lambda: seen, "the stream has begun")
    asyncio.run(post_all([node.url], [message(1)]))
    until(lambda: b"cons_1" in b"".join(seen), "the charge is seen")
    assert node.stop() == 0
    looking.join(PATIENCE_S)
    assert not looking.is_alive()
