"""The clerk's own part in charging Dify: traces that are quiet, and what browsers say."""

import json
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from tallygate.core.billing_commands import ReplayLetter
from tallygate.core.dify_commands import (
    BrowserAnswer,
    Observation,
    SaveDifyApp,
    TakeBrowserEvents,
    TakeTraces,
    TraceTold,
)
from tallygate.core.entry import DifyUse
from tallygate.core.errors import Refusal
from tallygate.core.price_commands import SavePrice
from tallygate.core.price_terms import Written
from tallygate.store.money_schema import charge, dead_letter, event_alias, wallet
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import Node
from tests.journal.samples import entry
from tests.store.purse import POINT, insert_account

pytestmark = pytest.mark.anyio

BALANCE = 1_000 * POINT


async def prepare(node: Node) -> int:
    """An account with money, a model at a point a token, an app; the app's id."""
    async with node.clerk.db.writing() as tx:
        await insert_account(tx, "ann", BALANCE)
    price = Written(
        currency="points", per_tokens=1000, input_token_price="1000", output_token_price="1000"
    )
    await node.command(SavePrice(model="m", price=price))
    app = SaveDifyApp(name="a", is_new=True, api_url="http://dify.test/v1", model="m")
    return int((await node.command(app))["id"])


def trace(tokens: int, *, account_id: str = "ann", number: int = 1) -> TraceTold:
    used = Observation(
        id=f"o{number}", model="", input_tokens=tokens, output_tokens=0, is_of_node=False
    )
    return TraceTold(
        trace_id="m-1",
        account_id=account_id,
        message_id="m-1",
        event_ms=1_770_800_000_000,
        observations=[used],
    )


async def rows(node: Node, table: Any) -> list[Any]:
    async with node.clerk.db.reading() as tx:
        return list((await tx.execute(sa.select(table))).all())


async def balance(node: Node) -> int:
    return int((await rows(node, wallet))[0].balance_micros)


async def told(node: Node, tokens: int = 30, app: str = "a", **more: Any) -> tuple[int, Any]:
    """The answer to a browser that has seen a message."""
    data = {"message_id": "m-1", "user_id": "eve", "input_tokens": tokens, "output_tokens": 0}
    body = json.dumps({"event": "message_end", "data": data | more}).encode()
    command = TakeBrowserEvents(account_id="ann", body=body, app=app, request_id="r")
    answer = await node.command(command)
    made = BrowserAnswer(**answer)
    return made.status, json.loads(made.body)


async def test_a_quiet_trace_is_charged(make_node: MakeNode) -> None:
    node = await make_node(dify_trace_quiet_s=0)
    app_id = await prepare(node)
    await node.command(TakeTraces(app_id=app_id, traces=[trace(20)]))
    await node.clerk.dify.charge_traces()
    await node.clerk.dify.charge_traces()
    [row] = await rows(node, charge)
    assert (row.source, row.model, row.micros) == ("tracing", "m", 20 * POINT)
    assert await balance(node) == BALANCE - 20 * POINT
    await node.command(TakeTraces(app_id=app_id, traces=[trace(5, number=2)]))
    await node.clerk.dify.charge_traces()
    [letter] = await rows(node, dead_letter)  # it came too late to be a part of it
    assert (letter.code, letter.source) == ("event_conflict", "tracing")
    assert await balance(node) == BALANCE - 20 * POINT


async def test_a_trace_waits_while_more_may_come(make_node: MakeNode) -> None:
    node = await make_node(dify_trace_quiet_s=3600)
    app_id = await prepare(node)
    await node.command(TakeTraces(app_id=app_id, traces=[trace(20)]))
    await node.clerk.dify.charge_traces()
    assert await rows(node, charge) == []


@pytest.mark.parametrize(("user", "letters"), [("key-7", 0), ("stranger", 1), ("", 1)])
async def test_a_trace_of_nobody_charges_nobody(
    make_node: MakeNode, user: str, letters: int
) -> None:
    """A key without an account is not worth a letter for each of its calls."""
    node = await make_node(dify_trace_quiet_s=0)
    app_id = await prepare(node)
    await node.command(TakeTraces(app_id=app_id, traces=[trace(20, account_id=user)]))
    await node.clerk.dify.charge_traces()
    assert await rows(node, charge) == []
    assert len(await rows(node, dead_letter)) == letters


async def test_a_browser_is_a_hint_until_somebody_confirms_it(make_node: MakeNode) -> None:
    """Whatever it claims, it is for the session's account, and takes nobody's name."""
    node = await make_node(dify_trace_quiet_s=0)
    app_id = await prepare(node)
    status, body = await told(node)
    assert (status, body["success"], body["data"]["pointsDeducted"]) == (200, True, 0)
    [row] = await rows(node, charge)
    assert (row.state, row.account_id, await balance(node)) == ("noted", "ann", BALANCE)
    await node.command(TakeTraces(app_id=app_id, traces=[trace(20)]))
    await node.clerk.dify.charge_traces()
    assert await balance(node) == BALANCE - 20 * POINT


@pytest.mark.parametrize(
    ("trust", "status", "charged"), [("charge", 200, 30), ("hint", 200, 0), ("off", 403, 0)]
)
async def test_the_operator_says_what_a_browser_is_worth(
    make_node: MakeNode, trust: str, status: int, charged: int
) -> None:
    node = await make_node(dify_browser_trust=trust)
    await prepare(node)
    for _ in range(2):
        assert (await told(node))[0] == status
    assert await balance(node) == BALANCE - charged * POINT
    assert await rows(node, dead_letter) == []


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"input_tokens": -1}, 422),
        ({"message_id": ""}, 400),
        ({"model_name": "unknown"}, 422),
        ({"timestamp": 1}, 422),
    ],
)
async def test_what_a_browser_says_is_held_to_the_rules_of_deliveries(
    make_node: MakeNode, more: dict[str, Any], status: int
) -> None:
    node = await make_node(dify_browser_trust="charge")
    await prepare(node)
    got, body = await told(node, **more)
    assert (got, body["success"]) == (status, False), body
    assert await rows(node, charge) == []
    assert (await told(node, app="nobody"))[0] == 404


# --- dead letters of what we read ourselves ---


async def letter_of(node: Node) -> Any:
    [letter] = await rows(node, dead_letter)
    return letter


async def price_at(node: Node, model: str, points: str) -> None:
    price = Written(
        currency="points", per_tokens=1000, input_token_price=points, output_token_price=points
    )
    await node.command(SavePrice(model=model, price=price))


async def proxied(node: Node, **changes: Any) -> None:
    """A call through our proxy, settled."""
    call = msgspec.structs.replace(
        entry("req_1"), key_id=7, user_id="ann", provider="dify/a", source="estimated"
    )
    call.counts = {"input_tokens": 300, "output_tokens": 0}
    used = {
        "instance": "other",
        "aliases": (("message", "m-1"), ("run", "r-1")),
        "conversation_id": "c-1",
        "message_id": "m-1",
        "model": "",
        "parts": (("", {"input_tokens": 100, "output_tokens": 0}),),
        "is_charged": True,
    }
    call.event = DifyUse(**(used | changes))
    await node.clerk.writer.do(
        "settle", lambda tx, now_ms: node.clerk.dify.settle(tx, [call], now_ms)
    )


async def test_a_letter_of_the_proxy_is_charged_as_the_call_was(any_node: Node) -> None:
    """With both of its names, all of its models and its key; owed, for it was let through."""
    app_id = await prepare(any_node)
    big = {"input_tokens": 200, "output_tokens": 0}
    parts = (("new", {"input_tokens": 100, "output_tokens": 0}), ("newer", big))
    await proxied(any_node, model="newer", parts=parts)
    letter = await letter_of(any_node)
    assert (letter.source, letter.app, letter.code) == ("proxy", "a", "unknown_model")
    assert (await rows(any_node, charge), await balance(any_node)) == ([], BALANCE)
    await price_at(any_node, "new", "1000")
    with pytest.raises(Refusal):
        await any_node.command(ReplayLetter(letter_id=letter.id))
    await price_at(any_node, "newer", "10000")
    await any_node.command(ReplayLetter(letter_id=letter.id))
    [row] = await rows(any_node, charge)
    assert (row.micros, row.state, row.source) == (2100 * POINT, "charged", "proxy")
    assert (row.instance, row.key_id, row.request_id) == ("other", 7, "req_1")
    assert await balance(any_node) == BALANCE - 2100 * POINT
    assert "proxy:estimated" in row.reports
    names = {(one.instance, one.kind, one.event_id) for one in await rows(any_node, event_alias)}
    assert names == {("other", "message", "m-1"), ("other", "run", "r-1")}
    assert app_id
    assert (await letter_of(any_node)).state == "replayed"
    await proxied(any_node, model="newer", parts=parts)  # the same again is the same charge
    assert await balance(any_node) == BALANCE - 2100 * POINT


async def test_a_letter_of_a_call_without_a_model_is_charged_as_its_app_says_by_then(
    node: Node,
) -> None:
    await prepare(node)
    await node.command(SaveDifyApp(name="a", is_new=False, model=""))
    await proxied(node)
    letter = await letter_of(node)
    with pytest.raises(Refusal):
        await node.command(ReplayLetter(letter_id=letter.id))
    await node.command(SaveDifyApp(name="a", is_new=False, model="m"))
    await node.command(ReplayLetter(letter_id=letter.id))
    [row] = await rows(node, charge)
    assert (row.model, row.micros) == ("m", 300 * POINT)


async def test_a_use_that_nobody_told_of_is_charged_as_its_input_once_an_operator_says_so(
    node: Node,
) -> None:
    await prepare(node)
    part = ("m", {"input_tokens": 40, "output_tokens": 0})
    await proxied(node, aliases=(), message_id="", model="m", parts=(part,), is_unknown=True)
    letter = await letter_of(node)
    assert (letter.code, letter.app) == ("usage_missing", "a")
    assert (await rows(node, charge), await balance(node)) == ([], BALANCE)
    await node.command(ReplayLetter(letter_id=letter.id))
    [row] = await rows(node, charge)
    assert (row.micros, row.state, row.request_id) == (40 * POINT, "charged", "req_1")
    with pytest.raises(Refusal):
        await node.command(ReplayLetter(letter_id=letter.id))
    assert await balance(node) == BALANCE - 40 * POINT


async def test_a_letter_of_a_trace_is_charged_when_its_cause_is_mended(
    make_node: MakeNode,
) -> None:
    """By the instance of its app, and by nobody twice: the webhook tells of it, too."""
    node = await make_node(dify_trace_quiet_s=0)
    app_id = await prepare(node)
    await node.command(SaveDifyApp(name="a", is_new=False, instance="other"))
    await node.command(TakeTraces(app_id=app_id, traces=[trace(20, account_id="bob")]))
    await node.clerk.dify.charge_traces()
    letter = await letter_of(node)
    assert (letter.source, letter.code, letter.account_id) == ("tracing", "unknown_user", "bob")
    async with node.clerk.db.writing() as tx:
        await insert_account(tx, "bob", 50 * POINT)
    replayed = await node.command(ReplayLetter(letter_id=letter.id))
    [row] = await rows(node, charge)
    assert replayed["charges"][0]["id"] == row.id
    assert (row.source, row.instance, row.micros) == ("tracing", "other", 20 * POINT)
    with pytest.raises(Refusal):
        await node.command(ReplayLetter(letter_id=letter.id))
    assert len(await rows(node, charge)) == 1


async def test_a_letter_of_a_trace_that_cannot_be_paid_is_unpaid(make_node: MakeNode) -> None:
    """Nobody let that call through."""
    node = await make_node(dify_trace_quiet_s=0)
    app_id = await prepare(node)
    await node.command(SaveDifyApp(name="a", is_new=False, model="new"))
    await node.command(TakeTraces(app_id=app_id, traces=[trace(2000)]))
    await node.clerk.dify.charge_traces()
    await price_at(node, "new", "1000")
    await node.command(ReplayLetter(letter_id=(await letter_of(node)).id))
    [row] = await rows(node, charge)
    assert (row.state, await balance(node)) == ("unpaid", BALANCE)
