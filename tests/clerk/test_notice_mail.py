"""Warnings about an account's money reach its owner: by mail, in the owner's language."""

from collections.abc import AsyncIterator

import pytest

from tallygate.core.account_commands import AddMember, CreateTeam, CreateUser, PatchUser
from tallygate.core.wallet_commands import (
    AdjustWallet,
    ConfigureWallet,
    CreateBudget,
    TopUpWallet,
)
from tallygate.store import budgets, notices
from tallygate.store.notices import Notice
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import Node
from tests.fakes.mail import Mailbox, receiving_mail
from tests.store.purse import POINT

pytestmark = pytest.mark.anyio


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with receiving_mail() as box:
        yield box


async def a_node(make_node: MakeNode, mailbox: Mailbox, **changes: object) -> Node:
    url = f"mailto://127.0.0.1:{mailbox.port}?from=gate@example.com&mode=insecure"
    return await make_node(mail_url=url, **changes)


async def a_poor_user(
    node: Node, language: str | None, email: str | None = "ann@x.example"
) -> None:
    """Whose balance has just fallen below the level that somebody set for it."""
    await node.command(CreateUser(id="<ann>", email=email))
    if language:
        await node.command(PatchUser(id="<ann>", language=language))
    await node.command(TopUpWallet(account_id="<ann>", micros=20 * POINT))
    await node.command(ConfigureWallet(account_id="<ann>", warn_micros=10 * POINT))
    await node.command(AdjustWallet(account_id="<ann>", micros=-15 * POINT))


async def notices_of(node: Node) -> list[Notice]:
    async with node.db.reading() as tx:
        return (await notices.page(tx, limit=9))[0]


@pytest.mark.parametrize(
    ("language", "title", "words"),
    [
        (None, "餘額不足提醒：剩餘 5 點", "您的餘額已低於 10 點，目前為 5 點。"),
        ("en", "Your balance is low: 5 points", "fell below 10 points; it is 5 points now."),
        ("zh-CN", "余额不足提醒：剩余 5 点", "您的余额已低于 10 点，目前为 5 点。"),
    ],
)
async def test_the_owner_is_mailed_in_their_language(
    make_node: MakeNode, mailbox: Mailbox, language: str | None, title: str, words: str
) -> None:
    """Or in the operator's, if they have not chosen one."""
    node = await a_node(make_node, mailbox, notice_language="zh-TW")
    await a_poor_user(node, language)
    await node.clerk.notices.deliver()
    [(receivers, message)] = mailbox.received
    assert receivers == ["ann@x.example"]
    assert str(message["subject"]) == title
    body = message.get_body()
    assert body is not None and words in body.get_content()
    [one] = await notices_of(node)
    assert (one.sent, one.error, one.next_ms) == ("mail", "", None)
    assert one.title.startswith("Balance of <ann> is low")  # what the operator reads


async def test_who_has_no_address_or_is_gone_is_not_mailed(
    make_node: MakeNode, mailbox: Mailbox
) -> None:
    """And the notice is done all the same."""
    node = await a_node(make_node, mailbox)
    await a_poor_user(node, "en", email=None)
    await node.clerk.notices.deliver()
    await node.command(PatchUser(id="<ann>", email="ann@x.example", is_active=False))
    await node.command(TopUpWallet(account_id="<ann>", micros=20 * POINT))
    await node.command(AdjustWallet(account_id="<ann>", micros=-20 * POINT))
    await node.clerk.notices.deliver()
    assert mailbox.received == []
    assert {(one.sent, one.next_ms) for one in await notices_of(node)} == {("", None)}


async def test_a_budget_is_told_to_whose_it_is_and_other_news_to_operators_alone(
    make_node: MakeNode, mailbox: Mailbox
) -> None:
    node = await a_node(make_node, mailbox)
    await a_poor_user(node, "en")
    await node.clerk.notices.deliver()
    del mailbox.received[:]
    budget = CreateBudget(subject_kind="user", subject_id="<ann>", span="month", micros=POINT)
    await node.command(budget)
    async with node.db.writing() as tx:
        await budgets.note_spent(tx, {"<ann>": POINT * 8 // 10}, node.clerk.clock.now_ms())
    await node.clerk.notices.deliver()
    [(_, message)] = mailbox.received
    assert str(message["subject"]) == "80 % of your budget is spent"
    body = message.get_body()
    assert body is not None
    assert "You have spent 0.8 of 1 points this month." in body.get_content()


async def test_a_teams_budget_is_mailed_to_its_members_and_told_to_operators_once(
    make_node: MakeNode, mailbox: Mailbox
) -> None:
    """Each in their own language; the operators' channels do not repeat it for every member."""
    operators = f"mailto://127.0.0.1:{mailbox.port}?from=gate@x.example&to=ops@x.example"
    node = await a_node(make_node, mailbox, notify_urls=f"{operators}&mode=insecure")
    await node.command(CreateTeam(name="Reds", id="red"))
    for id_, language in (("ann", "en"), ("bob", "zh-TW")):
        await node.command(CreateUser(id=id_, email=f"{id_}@x.example"))
        await node.command(PatchUser(id=id_, language=language))
        await node.command(AddMember(team_id="red", account_id=id_))
    budget = CreateBudget(subject_kind="team", subject_id="red", span="day", micros=POINT)
    await node.command(budget)
    async with node.db.writing() as tx:
        await budgets.note_spent(tx, {"ann": POINT * 8 // 10}, node.clerk.clock.now_ms())
    await node.clerk.notices.deliver()
    heard = {receivers[0]: str(message["subject"]) for receivers, message in mailbox.received}
    assert len(mailbox.received) == 3
    assert heard == {
        "ops@x.example": "Budget of team red: 80 % spent",
        "ann@x.example": "80 % of the budget of your team Reds is spent",
        "bob@x.example": "團隊 Reds 的預算已使用 80%",
    }


async def test_a_mail_server_that_refuses_is_tried_again(
    make_node: MakeNode, mailbox: Mailbox
) -> None:
    node = await a_node(make_node, mailbox)
    mailbox.is_refusing = True
    await a_poor_user(node, "en")
    await node.clerk.notices.deliver()
    [one] = await notices_of(node)
    assert one.next_ms is not None
    assert one.error == "mail: a receiver did not take it"
    assert str(mailbox.port) not in one.error
