"""Deliveries at the clerk: answered once they stand, refused ones kept, and never charged twice."""

import asyncio
import itertools
import json
from typing import Any

import pytest
import sqlalchemy as sa

from tallygate.core.billing_commands import (
    ApproveCharge,
    DismissLetter,
    RejectCharge,
    ReplayLetter,
    SettleAccount,
    SettleCharge,
)
from tallygate.core.commands import Arguments
from tallygate.core.deliveries import Deliver, Delivered
from tallygate.core.dify_commands import SaveDifyApp
from tallygate.core.errors import Code, Refusal
from tallygate.core.price_commands import SavePrice, SetRate
from tallygate.core.price_terms import Written
from tallygate.core.wallet_commands import ConfigureWallet, CreateBudget, TopUpWallet
from tallygate.gateway.lease import wallet_limit
from tallygate.store import charging
from tallygate.store.money_schema import charge, dead_letter, notice, wallet
from tallygate.store.schema import audit
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import WAIT_S, Node, Worker
from tests.store.money import insert_price
from tests.store.purse import POINT, differences, insert_account

pytestmark = pytest.mark.anyio

MONTH_MS = 31 * 86_400_000


class Sender:
    """Delivers by way of one worker and hears the answers."""

    def __init__(self, node: Node, worker: Worker) -> None:
        self.node = node
        self.worker = worker
        self.ids = itertools.count(1)

    @classmethod
    async def at(cls, node: Node, slot: int = 0) -> "Sender":
        return cls(node, await node.worker(slot))

    async def deliver(self, *bodies: Any, **options: Any) -> list[tuple[int, Any]]:
        """All at once; status and JSON of each answer, in the order of the bodies."""
        numbers = [self.send(body, **options) for body in bodies]
        async with asyncio.timeout(WAIT_S):
            while not self.answers().keys() >= set(numbers):
                self.worker._heard.clear()
                await self.worker._heard.wait()
        return [self.answers()[number] for number in numbers]

    def send(self, body: Any, **options: Any) -> int:
        number = next(self.ids)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {"app": "", "user": "", "delivery_id": ""} | options
        self.worker.channel.send(
            Deliver(number, f"req_{number}", arrived_ms=0, body=content, **names)
        )
        return number

    def answers(self) -> dict[int, tuple[int, Any]]:
        return {
            answer.id: (answer.status, json.loads(answer.body))
            for message in self.worker.messages
            if isinstance(message, Delivered)
            for answer in message.answers
        }

    async def one(self, body: Any, **options: Any) -> tuple[int, Any]:
        [answer] = await self.deliver(body, **options)
        return answer


def message(tokens: int = 10, number: int = 1, **changes: Any) -> dict[str, Any]:
    data = {
        "message_id": f"m-{number}",
        "user_id": "ann",
        "model_name": "m",
        "input_tokens": tokens,
        "output_tokens": 0,
    }
    return {"event": "message_end", "data": data | changes}


async def prepare(node: Node) -> Sender:
    """Ann has 100 points, Bob none; a token of `m` is a point, and dollars have no rate."""
    async with node.clerk.db.writing() as tx:
        await insert_account(tx, "ann", 100 * POINT)
        await insert_account(tx, "bob")
        picos = 10**12  # at a rate of 1 it is a point too
        await insert_price(tx, "usd", 0, currency="usd", input_picos=picos, output_picos=picos)
    await set_price(node, "m")
    return await Sender.at(node)


async def set_price(node: Node, model: str) -> None:
    price = Written(
        currency="points", per_tokens=1000, input_token_price="1000", output_token_price="1000"
    )
    await node.command(SavePrice(model=model, price=price))


async def rows(node: Node, table: sa.Table) -> list[Any]:
    async with node.clerk.db.reading() as tx:
        return list((await tx.execute(sa.select(table))).all())


async def balance(node: Node, account_id: str = "ann") -> int:
    found = {row.account_id: row.balance_micros for row in await rows(node, wallet)}
    return int(found[account_id]) // POINT


async def refused(node: Node, command: Arguments) -> Code:
    with pytest.raises(Refusal) as caught:
        await node.command(command)
    return caught.value.code


# --- answers ---


async def test_an_answer_has_the_contracts_shape(any_node: Node) -> None:
    """Whoever switches from the seed reads exactly these fields."""
    sender = await prepare(any_node)
    assert await sender.one(message(30)) == (
        200,
        {
            "success": True,
            "message": "Token consumption processed successfully",
            "data": {"consumptionId": "cons_1", "pointsDeducted": 30, "tokensUsed": 30},
        },
    )
    status, answer = await sender.one(message(30, total_tokens=31))
    assert status == 422
    assert answer["success"] is False
    assert answer["error"]["code"] == "token_total_mismatch"
    assert answer["error"]["message"] == answer["message"]
    assert answer["error"]["request_id"] == "req_2"


async def test_a_thousand_copies_have_one_charge_and_one_answer(any_node: Node) -> None:
    """Also by way of several workers, in as many transactions as it takes."""
    first = await prepare(any_node)
    second = await Sender.at(any_node, 1)
    halves = await asyncio.gather(*(one.deliver(*[message()] * 500) for one in (first, second)))
    answers = [json.dumps(answer) for half in halves for answer in half]
    assert len(answers) == 1000
    assert len(set(answers)) == 1
    assert await balance(any_node) == 90
    assert any_node.clerk.billing.batches < 100, "they shared transactions"


async def test_a_batch_is_answered_event_by_event(node: Node) -> None:
    sender = await prepare(node)
    body = [message(10, 1), message(10, 2, total_tokens=3), {"event": "ping"}]
    status, answer = await sender.one(body)
    assert status == 207
    assert answer["success"] is False
    assert [one["status"] for one in answer["data"]["results"]] == [200, 422, 200]
    status, answer = await sender.one([message(10, 1), {"event": "ping"}])
    assert (status, answer["success"]) == (200, True)
    assert await balance(node) == 90


# --- refusals and dead letters ---

REFUSALS: list[tuple[Any, int, str]] = [
    (b"{not json", 400, "bad_request"),
    (message(10, message_id=None), 400, "bad_request"),
    (message(10, timestamp="yesterday"), 400, "bad_request"),
    (message(10, total_tokens=11), 422, "token_total_mismatch"),
    (message(-1), 422, "tokens_out_of_range"),
    (message(10_000_001), 422, "tokens_out_of_range"),
    (message(10, input_tokens=None), 422, "usage_missing"),
    (message(10, user_id="nobody"), 422, "unknown_user"),
    (message(10, model_name="nothing"), 422, "unknown_model"),
    (message(10, model_name="usd"), 422, "no_exchange_rate"),
    (message(10, timestamp=1_600_000_000), 422, "event_too_old"),
    (message(10, timestamp=4_000_000_000), 422, "event_in_future"),
    (message(11, 9), 409, "event_conflict"),
]


@pytest.mark.parametrize(("body", "status", "code"), REFUSALS, ids=[one[2] for one in REFUSALS])
async def test_every_refusal_has_its_code_its_letter_and_no_charge(
    node: Node, body: Any, status: int, code: str
) -> None:
    """Money was at stake: an operator can see what came, mend the cause, and send it again."""
    sender = await prepare(node)
    await sender.one(message(10, 9))
    for _ in range(3):
        found, answer = await sender.one(body)
        assert (found, answer["error"]["code"]) == (status, code)
    [letter] = await rows(node, dead_letter)
    assert (letter.code, letter.deliveries, letter.state) == (code, 3, "open")
    assert letter.payload == (body.decode() if isinstance(body, bytes) else json.dumps(body))
    assert await balance(node) == 90
    assert len(await rows(node, charge)) == 1


async def test_a_body_that_a_worker_did_not_take_leaves_a_letter(node: Node) -> None:
    sender = await prepare(node)
    status, answer = await sender.one({"too_large": True}, refusal="request_too_large")
    assert (status, answer["error"]["code"]) == (413, "request_too_large")
    assert [letter.code for letter in await rows(node, dead_letter)] == ["request_too_large"]


async def test_a_letter_holds_no_secret(node: Node) -> None:
    sender = await prepare(node)
    await sender.one(message(10, user_id="nobody", api_key="sk-1234567890abcdefghij"))
    [letter] = await rows(node, dead_letter)
    assert "1234567890" not in letter.payload


async def test_events_about_no_usage_leave_nothing(node: Node) -> None:
    sender = await prepare(node)
    status, answer = await sender.one({"event": "message", "answer": "hello"})
    assert (status, answer["data"]["pointsDeducted"]) == (200, 0)
    assert await rows(node, dead_letter) == []


async def test_the_same_delivery_id_with_another_body_is_refused(any_node: Node) -> None:
    """The same body is answered as the first time, as often as it comes."""
    sender = await prepare(any_node)
    first = await sender.one(message(10), delivery_id="d-1")
    assert first == await sender.one(message(10), delivery_id="d-1")
    status, answer = await sender.one(message(10, 2), delivery_id="d-1")
    assert (status, answer["error"]["code"]) == (409, "idempotency_conflict")
    both = await sender.deliver(message(10, 3), message(10, 4), delivery_id="d-2")
    assert sorted(status for status, _ in both) == [200, 409], "at once, too"
    assert await balance(any_node) == 80
    assert len(await rows(any_node, dead_letter)) == 2


# --- apps ---


async def test_an_app_names_the_model_that_dify_does_not(node: Node) -> None:
    """A raw `message_end` has neither a model nor a user; the delivery says both beside it."""
    sender = await prepare(node)
    app = SaveDifyApp(name="a", is_new=True, api_url="http://d.test/v1", instance="two", model="m")
    await node.command(app)
    usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_price": "8E-7"}
    raw = {"event": "message_end", "id": "m-1", "metadata": {"usage": usage}}
    status, _ = await sender.one(raw, app="a", user="ann")
    assert (status, await balance(node)) == (200, 70)
    [row] = await rows(node, charge)
    assert (row.instance, row.model) == ("two", "m")
    status, answer = await sender.one(raw, app="b", user="ann")
    assert (status, answer["error"]["code"]) == (404, "not_found")
    status, answer = await sender.one(raw, user="ann")
    assert (status, answer["error"]["code"]) == (422, "unknown_model")


async def test_what_an_app_uses_through_the_gateway_is_only_noted(node: Node) -> None:
    """From the next delivery on after the app was changed."""
    sender = await prepare(node)
    await sender.one(message(10, 1))
    app = SaveDifyApp(name="a", is_new=True, api_url="http://d.test/v1", billed_by="gateway")
    await node.command(app)
    status, answer = await sender.one(message(10, 2))
    assert (status, answer["data"]["pointsDeducted"]) == (200, 0)
    assert await balance(node) == 90


async def test_a_change_of_a_price_counts_for_what_comes_after(any_node: Node) -> None:
    """Acknowledged is acknowledged: the very next delivery costs the new price."""
    sender = await prepare(any_node)
    await sender.one(message(10, 1))
    for number in range(2, 6):
        price = Written(
            currency="points",
            per_tokens=1000,
            input_token_price=str(number * 1000),
            output_token_price="0",
        )
        await any_node.command(SavePrice(model="m", price=price))
        _, answer = await sender.one(message(1, number))
        assert answer["data"]["pointsDeducted"] == number


async def test_budgets_hear_of_what_is_charged(node: Node) -> None:
    sender = await prepare(node)
    await node.command(ConfigureWallet(account_id="ann", warn_micros=50 * POINT))
    budget = CreateBudget(subject_kind="user", subject_id="ann", span="total", micros=40 * POINT)
    await node.command(budget)
    await sender.one(message(30, 1))
    assert len(await rows(node, notice)) == 1
    await sender.one(message(30, 2))
    assert len(await rows(node, notice)) == 3


# --- money that gateways lease ---


async def test_leased_money_is_asked_back_before_a_delivery_is_unpaid(any_node: Node) -> None:
    """The worker holds all of it and needs none of it."""
    sender = await prepare(any_node)
    async with any_node.clerk.db.reading() as tx:
        wallet_id = int(await tx.scalar(sa.select(wallet.c.id).where(wallet.c.account_id == "ann")))
    holder = await any_node.worker(1)
    counter = (wallet_limit(wallet_id).id, 0)
    await holder.sync(counter, 90 * POINT)
    assert holder.holdings[counter].available >= 90 * POINT
    status, answer = await sender.one(message(60))
    assert (status, answer["data"]["pointsDeducted"]) == (200, 60)
    assert holder.recalls >= 1


async def test_money_that_does_not_come_back_is_waited_for_a_second_at_most(node: Node) -> None:
    """Whoever holds it uses it; the delivery is unpaid, and others are answered meanwhile."""
    sender = await prepare(node)
    async with node.clerk.db.writing() as tx:
        await tx.execute(sa.update(wallet).values(leased_micros=100 * POINT))
        await insert_account(tx, "eve", 10 * POINT)
    number = sender.send(message(60))
    assert (await sender.one(message(10, 2, user_id="eve")))[0] == 200
    async with asyncio.timeout(WAIT_S):
        while number not in sender.answers():
            sender.worker._heard.clear()
            await sender.worker._heard.wait()
    status, answer = sender.answers()[number]
    assert (status, answer["error"]["code"]) == (402, "insufficient_balance")
    async with node.clerk.db.writing() as tx:
        await tx.execute(sa.update(wallet).values(leased_micros=0))


# --- a store that goes away, and our own mistakes ---


async def test_while_the_store_is_away_nothing_is_kept(node: Node) -> None:
    """The sender is told to come again, and then it counts."""
    sender = await prepare(node)
    node.db.is_away = True
    status, answer = await sender.one(message(10))
    assert (status, answer["error"]["code"]) == (503, "store_unavailable")
    node.db.is_away = False
    async with asyncio.timeout(WAIT_S):
        while (await sender.one(message(10)))[0] == 503:  # noqa: ASYNC110 - as a sender would
            await asyncio.sleep(0.01)
    assert await balance(node) == 90


async def test_a_commit_whose_answer_was_lost_is_found_again(node: Node) -> None:
    """The transaction runs again and finds what it did; money is taken once."""
    sender = await prepare(node)
    node.db.fail_commits = 1
    assert (await sender.one(message(10)))[0] == 200
    assert await balance(node) == 90


async def test_one_delivery_that_breaks_us_does_not_break_the_others(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug shows as 500 to whoever meets it, and as nothing to everybody else."""
    sender = await prepare(node)
    whole = charging.priced

    def broken(event: Any, *rest: Any) -> Any:
        if event.message_id == "m-2":
            raise ZeroDivisionError
        return whole(event, *rest)

    monkeypatch.setattr(charging, "priced", broken)
    answers = await sender.deliver(*(message(10, number) for number in (1, 2, 3)))
    assert [status for status, _ in answers] == [200, 500, 200]
    assert await balance(node) == 80


# --- what operators do ---


async def test_a_letter_is_replayed_once_its_cause_is_mended(any_node: Node) -> None:
    """By the prices of now, whatever its age; and only once."""
    sender = await prepare(any_node)
    await sender.one(message(20, model_name="usd"))
    [letter] = await rows(any_node, dead_letter)
    replay = ReplayLetter(letter_id=letter.id)
    assert await refused(any_node, replay) is Code.NO_EXCHANGE_RATE
    assert (await rows(any_node, dead_letter))[0].state == "open"
    await any_node.command(SetRate(rate="1", reason=""))
    done = await any_node.command(replay)
    assert done["letter"]["state"] == "replayed"
    assert done["letter"]["charge_id"] == done["charges"][0]["id"]
    assert await balance(any_node) == 80
    assert await refused(any_node, replay) is Code.CONFLICT
    assert await refused(any_node, ReplayLetter(letter_id=99)) is Code.NOT_FOUND
    assert (await sender.one(message(20, model_name="usd")))[0] == 200
    assert (await rows(any_node, dead_letter))[0].state == "replayed"


async def test_an_old_letter_can_be_replayed(node: Node) -> None:
    sender = await prepare(node)
    await sender.one(message(20, timestamp=1_600_000_000))
    [letter] = await rows(node, dead_letter)
    await node.command(ReplayLetter(letter_id=letter.id))
    assert await balance(node) == 80


async def test_a_dismissed_letter_stays_dismissed(node: Node) -> None:
    """Its sender goes on delivering it: that is counted, and nobody is bothered again."""
    sender = await prepare(node)
    await sender.one(message(20, user_id="nobody"))
    [letter] = await rows(node, dead_letter)
    await node.command(DismissLetter(letter_id=letter.id, reason="a test account"))
    assert await refused(node, ReplayLetter(letter_id=letter.id)) is Code.CONFLICT
    await sender.one(message(20, user_id="nobody"))
    [letter] = await rows(node, dead_letter)
    assert (letter.state, letter.deliveries) == ("dismissed", 2)
    actions = [row.action for row in await rows(node, audit)]
    assert "dead_letter.dismiss" in actions


async def test_what_is_unpaid_is_settled_when_there_is_money(any_node: Node) -> None:
    sender = await prepare(any_node)
    for number, tokens in ((1, 30), (2, 50), (3, 20)):
        status, answer = await sender.one(message(tokens, number, user_id="bob"))
        assert (status, answer["error"]["code"]) == (402, "insufficient_balance")
        assert answer["data"]["consumptionId"] == f"cons_{number}"
    assert await refused(any_node, SettleCharge(charge_id=1)) is Code.INSUFFICIENT_BALANCE
    await any_node.command(TopUpWallet(account_id="bob", micros=55 * POINT))
    view = await any_node.command(SettleCharge(charge_id=1))
    assert view["state"] == "charged"
    assert await refused(any_node, SettleCharge(charge_id=1)) is Code.CONFLICT
    settled = await any_node.command(SettleAccount(account_id="bob"))
    assert (settled["paid"], settled["unpaid"], settled["unpaid_micros"]) == (1, 1, 50 * POINT)
    assert await balance(any_node, "bob") == 5
    assert (await sender.one(message(30, 1, user_id="bob")))[0] == 200
    assert await differences(any_node.clerk.db) == []


async def test_what_is_under_review_is_approved_or_rejected(any_node: Node) -> None:
    """Approved, it is charged if there is money, and unpaid if not; rejected, never."""
    sender = await prepare(any_node)
    async with any_node.clerk.db.writing() as tx:
        await insert_account(tx, "eve", 2_000_000 * POINT)
    for number, user in ((1, "eve"), (2, "bob"), (3, "eve")):
        status, answer = await sender.one(message(1_000_001, number, user_id=user))
        assert (status, answer["data"]["status"]) == (202, "held_for_review")
        assert answer["data"]["pointsDeducted"] == 0
    assert (await any_node.command(ApproveCharge(charge_id=1)))["state"] == "charged"
    assert (await any_node.command(ApproveCharge(charge_id=2)))["state"] == "unpaid"
    assert (await any_node.command(RejectCharge(charge_id=3)))["state"] == "rejected"
    assert await refused(any_node, ApproveCharge(charge_id=3)) is Code.CONFLICT
    assert (await any_node.command(RejectCharge(charge_id=2)))["state"] == "rejected"
    status, answer = await sender.one(message(1_000_001, 3, user_id="eve"))
    assert (status, answer["data"]["pointsDeducted"]) == (200, 0)
    assert await balance(any_node, "eve") == 999_999
    assert await differences(any_node.clerk.db) == []


async def test_two_nodes_charge_one_event_once(make_node: MakeNode, store_url: str) -> None:
    """Behind a balancer a repeated delivery may come to another node."""
    nodes = [await make_node(name, url=store_url) for name in ("one", "two")]
    first = await prepare(nodes[0])
    second = await Sender.at(nodes[1])
    bodies = [message(1, number) for number in range(40)] * 3
    halves = await asyncio.gather(first.deliver(*bodies), second.deliver(*bodies))
    assert {status for half in halves for status, _ in half} == {200}
    assert halves[0] == halves[1]
    assert await balance(nodes[0]) == 60
    assert await differences(nodes[0].clerk.db) == []
