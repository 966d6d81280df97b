"""A real node before a fake Dify server: what is used through it is charged once."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from tallygate.store.database import Database, Tx
from tallygate.store.money_schema import charge, dead_letter, wallet
from tests.fakes import dify_answers as says
from tests.fakes import langfuse
from tests.fakes.dify import APP_KEY, FakeDify, running_dify
from tests.fakes.dify_answers import Ids
from tests.store.purse import POINT, differences, insert_account
from tests.system.conftest import MakeNode
from tests.system.harness import Node, until

pytestmark = pytest.mark.slow

BALANCE = 1_000_000 * POINT
WEBHOOK_KEY = "webhook-key-of-the-system-tests"
SOURCES = ("proxy", "tracing", "webhook")
TOKENS = {"proxy": 1033 + 128, "tracing": 700, "webhook": 500}  # a point each

T = TypeVar("T")


@pytest.fixture
def dify() -> Iterator[FakeDify]:
    with running_dify() as dify:
        yield dify


def in_store(node: Node, work: Callable[[Tx], Awaitable[T]]) -> T:
    """Beside the running node."""

    async def run() -> T:
        db = Database(node.store_url)
        await db.open(may_create=False)
        try:
            async with db.writing() as tx:
                return await work(tx)
        finally:
            await db.close()

    return asyncio.run(run())


def charges(node: Node) -> dict[str, Any]:
    """By message or run."""

    async def work(tx: Tx) -> dict[str, Any]:
        rows = (await tx.execute(sa.select(charge))).all()
        assert len({row.message_id for row in rows}) == len(rows), "a message charged twice"
        return {row.message_id: row for row in rows}

    return in_store(node, work)


def balance(node: Node) -> int:
    async def work(tx: Tx) -> int:
        return int(await tx.scalar(sa.select(wallet.c.balance_micros)))

    return in_store(node, work)


class Told:
    """One node with an app, an account with money, and a way for each source to tell."""

    def __init__(self, make_node: MakeNode, dify: FakeDify, database_url: str | None) -> None:
        settings = {
            "TALLYGATE_DIFY_API_URL": dify.base_url,
            "TALLYGATE_DIFY_API_KEY": APP_KEY,
            "TALLYGATE_DIFY_MODEL": says.MODEL,
            "TALLYGATE_DIFY_TRACE_QUIET_S": "0",
            "TALLYGATE_DIFY_WEBHOOK_KEY": WEBHOOK_KEY,
        }
        self.node = make_node(workers=2, database_url=database_url, settings=settings)
        in_store(self.node, self._prepare)
        for model in (says.MODEL, says.SMALL_MODEL):
            price = {"model_name": model, "currency": "points", "per_tokens": 1000}
            price |= {"input_token_price": "1000", "output_token_price": "1000"}
            self.node.admin("POST", "/api/models", price)
        app = {"name": "helpdesk", "api_url": dify.base_url, "api_key": APP_KEY}
        made = self.node.admin("POST", "/api/dify/apps", app | {"model": says.MODEL})
        pair = made["tracing"]
        self.pair = langfuse.basic(pair["public_key"], pair["secret_key"])
        key = self.node.admin("POST", "/api/keys", {"label": "ann's", "user_id": "ann"})
        self.key = {"authorization": f"Bearer {key['secret']}"}

    @staticmethod
    async def _prepare(tx: Tx) -> None:
        await insert_account(tx, "ann", BALANCE)

    def by_proxy(self, ids: Ids) -> None:
        body = {"query": "hi", "inputs": {}, "response_mode": "streaming"}
        status, _, answer = self.node.ask(
            "POST", "/dify/apps/helpdesk/v1/chat-messages", body, self.key
        )
        assert status == 200 and ids.message in answer.decode()

    def by_tracing(self, ids: Ids) -> None:
        for one in (
            langfuse.trace(ids, "ann"),
            langfuse.generation(ids, 1, tokens=(TOKENS["tracing"], 0)),
        ):
            status, _, _ = self.node.ask(
                "POST", "/api/public/ingestion", langfuse.batch(one), self.pair
            )
            assert status == 207

    def by_webhook(self, ids: Ids) -> None:
        data = {"message_id": ids.message, "user_id": "ann", "model_name": says.MODEL}
        data |= {"input_tokens": TOKENS["webhook"], "output_tokens": 0}
        data |= {"conversation_id": ids.conversation, "total_tokens": TOKENS["webhook"]}
        status, _, answer = self.node.ask(
            "POST",
            "/api/dify/webhook",
            {"event": "message_end", "data": data},
            {"x-api-key": WEBHOOK_KEY},
        )
        assert status == 200, answer

    def is_heard(self, source: str, ids: Ids) -> bool:
        """What it said stands in the charge of the message."""
        row = charges(self.node).get(ids.message)
        return row is not None and (
            row.source == source or source in json.loads(row.reports or "{}")
        )


def test_a_message_is_one_charge_in_any_order_of_its_tellers(
    make_node: MakeNode, dify: FakeDify, database_url: str | None, tmp_path: Path
) -> None:
    """All three are on in a careful installation, and never agree to the token."""
    told = Told(make_node, dify, database_url)
    spent = 0
    for number, order in enumerate(itertools.permutations(SOURCES), 1):
        ids = Ids(number)
        for source in order:
            getattr(told, f"by_{source}")(ids)
            until(lambda source=source, ids=ids: told.is_heard(source, ids), f"{source} {order}")
        row = charges(told.node)[ids.message]
        assert (row.source, row.state, row.account_id) == ("proxy", "charged", "ann")
        spent += TOKENS["proxy"] * POINT
        assert row.micros == TOKENS["proxy"] * POINT, order
        assert balance(told.node) == BALANCE - spent, order
    assert [one["user"] for one in dify.bodies()] == ["ann"] * 6
    assert in_store(told.node, _letters) == []

    async def check() -> None:
        db = Database(told.node.store_url)
        await db.open(may_create=False)
        assert await differences(db) == []
        await db.close()

    asyncio.run(check())
    assert APP_KEY not in told.node.log and WEBHOOK_KEY not in told.node.log


async def _letters(tx: Tx) -> list[Any]:
    return list((await tx.execute(sa.select(dead_letter))).all())


def test_a_worker_that_dies_loses_no_charge_and_makes_none_twice(
    make_node: MakeNode, dify: FakeDify
) -> None:
    """What was answered is in its journal, which the next life's clerk settles."""
    told = Told(make_node, dify, None)
    body = {"query": "chatflow", "inputs": {}, "response_mode": "streaming"}
    for _ in range(5):
        status, _, _ = told.node.ask("POST", "/dify/v1/chat-messages", body, told.key)
        assert status == 200
    for post in ("gateway-0", "gateway-1", "clerk"):
        killed = told.node.kill(post)
        told.node.wait_refilled(post, killed)
    until(lambda: len(charges(told.node)) == 5, "all five are charged")
    assert {row.micros for row in charges(told.node).values()} == {1581 * POINT}
    assert balance(told.node) == BALANCE - 5 * 1581 * POINT


def test_the_apps_of_settings_and_of_operators_are_listed(
    make_node: MakeNode, dify: FakeDify
) -> None:
    told = Told(make_node, dify, None)
    listed = {one["name"]: one for one in told.node.admin("GET", "/api/dify/apps")["items"]}
    assert listed["default"]["is_from_settings"] and listed["default"]["path"] == "/dify/v1"
    assert listed["helpdesk"]["path"] == "/dify/apps/helpdesk/v1"
    project = told.node.ask("GET", "/api/public/projects", None, told.pair)[2]
    assert project["data"][0]["name"] == "helpdesk"
    told.node.admin("DELETE", "/api/dify/apps/helpdesk")
    path = "/dify/apps/helpdesk/v1/parameters"
    until(lambda: told.node.ask("GET", path, None, told.key)[0] == 404, "it is gone")
    status, _, answer = told.node.ask("GET", "/dify/v1/parameters", None, told.key)
    assert (status, answer["target"]) == (200, "/v1/parameters?user=ann")


def test_a_browser_reports_for_whoever_is_signed_in(make_node: MakeNode, dify: FakeDify) -> None:
    """By default that is a hint: recorded and shown, charged once a server confirms it."""
    told = Told(make_node, dify, None)
    node, ids = told.node, Ids(1)
    password = "a long enough password of bob's"
    node.admin("POST", "/api/users", {"id": "bob", "name": "Bob", "password": password})
    status, headers, signed_in = node.ask(
        "POST", "/api/session", {"id": "bob", "password": password}
    )
    assert status in (200, 201), signed_in
    browser = {"cookie": headers["set-cookie"].partition(";")[0]}
    browser |= {"x-csrf-token": signed_in["csrf_token"], "origin": node.url}
    data = {"message_id": ids.message, "user_id": "ann", "model_name": says.MODEL}
    data |= {"input_tokens": 5, "output_tokens": 1, "total_tokens": 6}
    event = {"event": "message_end", "data": data}
    status, _, answer = node.ask("POST", "/api/dify/events", event, browser)
    assert (status, answer["success"]) == (200, True), answer
    assert answer["data"]["pointsDeducted"] == 0
    assert charges(node)[ids.message].account_id == "bob"
    for nobody in ({}, told.key):
        assert node.ask("POST", "/api/dify/events", event, nobody)[0] in (401, 403)
