"""Whoever should hear of something does, once it can be told, and signed so that it is believed."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable

import pytest
import sqlalchemy as sa

from tallygate.clerk import notice_channels
from tallygate.clerk.clock import NodeClock
from tallygate.clerk.notice_channels import channels_of
from tallygate.clerk.notices import ATTEMPTS_MAX, Channel, Notifier, Undelivered, pause_ms
from tallygate.clerk.writer import Writer
from tallygate.core import credential_notices
from tallygate.core.budget import NewNotice
from tallygate.store import notices
from tallygate.store.database import Database
from tallygate.store.money_schema import notice
from tallygate.store.notices import Notice
from tallygate.tasks import Tasks
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import make_options, until
from tests.fakes.receiver import Receiver, receiving

pytestmark = pytest.mark.anyio

KEY = b"0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW_MS = 1_770_800_000_000

MakeNotifier = Callable[[dict[str, Channel]], Notifier]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture
async def make_notifier(store: Database) -> AsyncIterator[MakeNotifier]:
    """Notifiers over each kind of store, which deliver when the test says so."""
    clock = NodeClock(store)
    await clock.adjust()
    writer = Writer(store, clock)
    tasks = Tasks(lambda name, error: pytest.fail(f"{name}: {error}"))
    tasks.start(writer.run(), "writer")
    yield lambda channels: Notifier(store, clock, writer, channels)
    await tasks.close()


def webhook(receiver: Receiver, **changes: str) -> dict[str, Channel]:
    told = {"notify_webhook_url": receiver.url, "notify_webhook_secret": SECRET, **changes}
    return channels_of(make_options("", "", **told), lambda: NOW_MS)  # type: ignore[arg-type]  # no folder


async def write(db: Database, count: int = 1) -> None:
    one = NewNotice(
        kind="wallet.low", account_id="alice", title="低", body="Low.", data={"balance": 1}
    )
    async with db.writing() as tx:
        await notices.insert(tx, [one] * count, NOW_MS)


async def only(db: Database) -> Notice:
    async with db.reading() as tx:
        (one,), _ = await notices.page(tx, limit=9)
    return one


async def make_due(db: Database) -> None:
    """The pause is over."""
    async with db.writing() as tx:
        waiting = sa.update(notice).where(notice.c.next_ms.is_not(None))
        await tx.execute(waiting.values(next_ms=1))


async def test_a_notice_is_posted_once_and_signed_over_its_very_bytes(
    store: Database, make_notifier: MakeNotifier, receiver: Receiver
) -> None:
    """As whoever receives by the standard checks it: id, time and body."""
    await write(store)
    notifier = make_notifier(webhook(receiver))
    assert [await notifier.deliver(), await notifier.deliver()] == [1, 0]
    ((headers, body),) = receiver.received
    assert headers["webhook-timestamp"] == str(NOW_MS // 1000)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    said = json.loads(body)
    assert (said["type"], said["title"], said["data"]) == ("wallet.low", "低", {"balance": 1})
    assert said["timestamp"] == "2026-02-11T08:53:20.000Z"


async def test_operators_are_told_in_the_language_of_the_settings(
    store: Database, make_notifier: MakeNotifier, receiver: Receiver
) -> None:
    """The words are the reader's; what is in the store, and what programs read, are the same."""
    async with store.writing() as tx:
        await notices.insert(tx, [credential_notices.died(7, "k", "统一", "", "HTTP 401")], NOW_MS)
    await make_notifier(webhook(receiver, notice_language="zh-TW")).deliver()
    ((_, body),) = receiver.received
    said = json.loads(body)
    assert said["title"] == "憑證 统一（k）已失效" and "HTTP 401" in said["body"]
    assert (said["type"], said["data"]["id"]) == ("credential.died", 7)
    assert (await only(store)).title == "Credential 统一 (k) is no longer valid"


async def test_a_receiver_that_fails_is_tried_again_under_the_same_id(
    store: Database, make_notifier: MakeNotifier, receiver: Receiver
) -> None:
    """One that did take it and could not say so can tell that it comes again."""
    await write(store)
    notifier = make_notifier(webhook(receiver))
    receiver.statuses = [500, 302, 404]
    for status in (500, 302, 404):
        await notifier.deliver()
        failed = await only(store)
        assert failed.error == f"webhook: answered {status}" and failed.sent == ""
        assert failed.next_ms is not None and await notifier.deliver() == 0
        await make_due(store)
    await notifier.deliver()
    done = await only(store)
    assert (done.sent, done.error, done.next_ms, done.attempts) == ("webhook", "", None, 4)
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1


async def test_a_receiver_that_says_nothing_is_given_up_in_time(
    store: Database,
    make_notifier: MakeNotifier,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notice_channels, "DEADLINE_S", 0.05)
    receiver.statuses = [0]
    await write(store)
    await make_notifier(webhook(receiver)).deliver()
    assert (await only(store)).error == "webhook: no answer within 0.05 s"


async def test_what_went_wrong_is_said_without_the_address(
    store: Database, make_notifier: MakeNotifier, receiver: Receiver
) -> None:
    """An address of a webhook often is a secret."""
    url = "http://127.0.0.1:1/very-secret"
    await write(store)
    await make_notifier(webhook(receiver, notify_webhook_url=url)).deliver()
    error = (await only(store)).error
    assert error.startswith("webhook: no connection") and "very-secret" not in error


async def test_tries_come_to_an_end(
    store: Database, make_notifier: MakeNotifier, receiver: Receiver
) -> None:
    """A receiver that is gone for good must not be knocked at for ever."""
    receiver.statuses = [500] * 99
    await write(store)
    notifier = make_notifier(webhook(receiver))
    for _ in range(ATTEMPTS_MAX):
        assert await notifier.deliver() == 1
        await make_due(store)
    assert await notifier.deliver() == 0
    last = await only(store)
    assert (last.next_ms, last.error) == (None, "webhook: answered 500")
    pauses = [pause_ms(attempts) for attempts in range(1, ATTEMPTS_MAX)]
    assert pauses == sorted(pauses) and 86_400_000 < sum(pauses) < 3 * 86_400_000


async def test_a_channel_that_has_it_is_not_used_again(
    store: Database, make_notifier: MakeNotifier
) -> None:
    """A webhook that is down must not mail its operator every five seconds."""
    mailed: list[int] = []
    is_down = True

    async def mail(one: Notice) -> None:
        mailed.append(one.id)

    async def post(_: Notice) -> None:
        if is_down:
            raise Undelivered("down")

    await write(store)
    notifier = make_notifier({"mail": mail, "post": post})
    await notifier.deliver()
    assert (await only(store)).sent == "mail"
    is_down = False
    await make_due(store)
    await notifier.deliver()
    assert (await only(store)).sent == "mail post" and len(mailed) == 1


async def test_several_nodes_tell_a_notice_once(
    store: Database, make_notifier: MakeNotifier
) -> None:
    told: list[int] = []

    async def tell(one: Notice) -> None:
        told.append(one.id)

    await write(store, 8)
    await asyncio.gather(*(make_notifier({"tell": tell}).deliver() for _ in range(4)))
    assert sorted(told) == list(range(1, 9))


async def test_a_node_that_died_with_a_notice_leaves_it_to_others(
    store: Database, make_notifier: MakeNotifier, receiver: Receiver
) -> None:
    await write(store)
    async with store.writing() as tx:
        assert await notices.claim(tx, await only(store), NOW_MS + 60_000)
    await make_due(store)  # the claim is over
    assert await make_notifier(webhook(receiver)).deliver() == 1
    assert len(receiver.received) == 1


async def test_without_a_channel_notices_are_kept_to_be_read(
    store: Database, make_notifier: MakeNotifier
) -> None:
    await write(store, 20)
    notifier = make_notifier({})
    while await notifier.deliver():
        pass
    async with store.reading() as tx:
        found, total = await notices.page(tx, limit=99, account_id="alice")
    assert total == 20 and {(one.next_ms, one.error) for one in found} == {(None, "")}


async def test_apprise_takes_a_notice_where_its_urls_say(
    store: Database, make_notifier: MakeNotifier, receiver: Receiver
) -> None:
    """The whole way, by one of apprise's own plugins."""
    address = receiver.url.removeprefix("http://")
    options = make_options("", "", notify_urls=f"json://{address}")  # type: ignore[arg-type]  # no folder
    await write(store)
    await make_notifier(channels_of(options, lambda: NOW_MS)).deliver()
    assert (await only(store)).sent == "apprise"
    ((_, body),) = receiver.received
    said = json.loads(body)
    assert (said["title"], said["message"]) == ("低", "Low.")


@pytest.mark.parametrize(
    ("urls", "error"),
    [
        ("json://127.0.0.1:1/", "apprise: a receiver did not take it"),
        ("nonsense://token@x", "apprise: 1 of 1 addresses are not understood"),
    ],
)
async def test_apprise_that_fails_is_tried_again(
    store: Database, make_notifier: MakeNotifier, urls: str, error: str
) -> None:
    options = make_options("", "", notify_urls=urls)  # type: ignore[arg-type]  # no folder
    await write(store)
    await make_notifier(channels_of(options, lambda: NOW_MS)).deliver()
    failed = await only(store)
    assert failed.error == error and failed.next_ms is not None


async def test_a_clerk_tells_by_itself(make_node: MakeNode, receiver: Receiver) -> None:
    """The settings reach the part that is to use them."""
    node = await make_node(notify_webhook_url=receiver.url, notify_webhook_secret=SECRET)
    await write(node.db)
    await until(lambda: receiver.received)


async def test_old_notices_are_forgotten_once_they_are_done(store: Database) -> None:
    await write(store)
    async with store.writing() as tx:
        await notices.clean(tx, NOW_MS + 1)
    one = await only(store)
    async with store.writing() as tx:
        await notices.finish(tx, one, sent="", error="", next_ms=None)
        await notices.clean(tx, NOW_MS)
        assert (await notices.page(tx, limit=1))[1] == 1
        await notices.clean(tx, NOW_MS + 1)
        assert (await notices.page(tx, limit=1))[1] == 0
