"""Deliveries at a worker: who may send them, what reaches the clerk, and how long anybody waits.

A delivery moves money, so every way of sending one unasked is tried here.
"""

import hashlib
import hmac
from typing import Any

import pytest

from tallygate.core.deliveries import Deliver
from tallygate.core.guesses import GUESSES_MAX
from tallygate.core.signatures import key_of, sign
from tests.gateway.exchange_text import Answer, request
from tests.gateway.rig import NOON_MS, Rig, Side, rigged

PATH = "/api/dify/webhook"
BODY = b'{"event":"message_end"}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ADMIN = hashlib.sha256(b"the-admin").digest()
OPEN = {"dify_webhook_key": "hook-key", "admin_token_hash": ADMIN}
SIGNED = {"dify_webhook_secret": SECRET}


def ask(side: Side, body: bytes = BODY, path: str = PATH, **headers: str) -> Answer:
    side.send(request("POST", path, body, **({"key": ""} | headers)))
    return side.answer()


def delivered(rig: Rig) -> list[Deliver]:
    return rig.clerk.sent(Deliver)


def standard(
    body: bytes = BODY, at_ms: int = NOON_MS, secret: str = SECRET, name: str = "msg_1"
) -> dict[str, str]:
    return {
        "webhook_id": name,
        "webhook_timestamp": str(at_ms // 1000),
        "webhook_signature": sign(key_of(secret), name, at_ms // 1000, body),
    }


# --- what reaches the clerk ---


@pytest.mark.parametrize("headers", [{"key": "hook-key"}, {"x_api_key": "hook-key"}])
def test_a_delivery_with_the_key_is_answered_as_the_clerk_says(headers: dict[str, str]) -> None:
    with rigged({}, **OPEN) as rig:
        rig.clerk.delivery_answer = (202, b'{"success":true,"message":"held_for_review"}')
        answer = ask(rig.client(), content_type="text/plain", **headers)
        assert (answer.status, answer.json["message"]) == (202, "held_for_review")
        assert answer.headers["content-type"] == "application/json"
        [message] = delivered(rig)
        assert (message.body, message.app, message.user, message.delivery_id) == (BODY, "", "", "")
        assert message.request_id == answer.headers["x-request-id"]


def test_app_user_and_id_are_named_beside_the_body() -> None:
    """In the query, where a sender can set nothing but an address, or in headers."""
    with rigged({}, **OPEN) as rig:
        side = rig.client()
        ask(side, path=f"{PATH}?app=a%20b&user=ann", key="hook-key", webhook_id="w")
        ask(
            side,
            key="hook-key",
            x_tallygate_app="c",
            x_tallygate_user="bob",
            idempotency_key="i",
        )
        names = [(one.app, one.user, one.delivery_id) for one in delivered(rig)]
        assert names == [("a b", "ann", "w"), ("c", "bob", "i")]


def test_names_that_are_too_long_are_refused() -> None:
    with rigged({}, **OPEN) as rig:
        answer = ask(rig.client(), key="hook-key", idempotency_key="i" * 256)
        assert (answer.status, answer.code) == (400, "bad_request")
        assert delivered(rig) == []


def test_a_chunked_or_slowly_sent_delivery_is_gathered() -> None:
    with rigged({}, **OPEN) as rig:
        side = rig.client()
        whole = request("POST", PATH, BODY, key="hook-key")
        side.send(whole[:-5])
        assert delivered(rig) == []
        side.send(whole[-5:])
        assert side.answer().status == 200
        head = b"POST /api/dify/webhook HTTP/1.1\r\nhost: g\r\nx-api-key: hook-key\r\n"
        side.send(head + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        assert side.answer().status == 200
        assert [one.body for one in delivered(rig)] == [BODY, b"abc"]


# --- who may not ---


def test_without_a_key_and_a_secret_the_webhook_is_closed() -> None:
    """Nobody is charged by strangers because an operator has not finished setting up."""
    with rigged({}) as rig:
        for headers in ({}, {"key": "anything"}, {"x_api_key": "x"}, standard()):
            answer = ask(rig.client(), **headers)
            assert (answer.status, answer.code) == (403, "webhook_closed")
        assert delivered(rig) == []


@pytest.mark.parametrize("headers", [{}, {"key": "hook-ke"}, {"x_api_key": "HOOK-KEY"}, standard()])
def test_without_the_key_nothing_is_delivered(headers: dict[str, str]) -> None:
    with rigged({}, **OPEN) as rig:
        answer = ask(rig.client(), **headers)
        assert (answer.status, answer.code) == (401, "unauthorized")
        assert answer.json["success"] is False
        assert answer.json["message"] == answer.json["error"]["message"]
        assert delivered(rig) == []


def test_the_operator_may_always_deliver() -> None:
    """The admin token opens every part of the API, also before anything is set up."""
    for options in ({"admin_token_hash": ADMIN}, OPEN, {**OPEN, **SIGNED}):
        with rigged({}, **options) as rig:
            assert ask(rig.client(), key="the-admin").status == 200
            assert ask(rig.client(), x_admin_token="the-admin").status == 200


def test_guessing_is_slowed_down_by_address() -> None:
    """Then even the right key is not heard, or guessing on would still find it."""
    with rigged({}, **OPEN) as rig:
        side = rig.client("192.0.2.1")
        codes = [ask(side, key=f"guess-{number}").code for number in range(GUESSES_MAX + 5)]
        assert codes[:GUESSES_MAX] == ["unauthorized"] * GUESSES_MAX
        assert set(codes[GUESSES_MAX:]) == {"rate_limit_exceeded"}
        refused = ask(side, key="hook-key")
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert ask(rig.client("192.0.2.2"), key="hook-key").status == 200
        rig.pass_time(2)
        assert ask(side, key="hook-key").status == 200


def test_a_signature_lets_a_delivery_in() -> None:
    with rigged({}, **SIGNED) as rig:
        side = rig.client()
        assert ask(side, **standard()).status == 200
        plain = hmac.digest(key_of(SECRET), BODY, hashlib.sha256).hex()
        assert ask(side, x_signature=f"sha256={plain}").status == 200
        assert len(delivered(rig)) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"key": "hook-key"},
        standard(body=BODY + b" "),
        standard(secret="whsec_AAAA"),
        standard(at_ms=NOON_MS - 301_000),
        standard(at_ms=NOON_MS + 301_000),
        standard() | {"webhook_id": "msg_2"},
        standard() | {"webhook_timestamp": ""},
        {"x_signature": "sha256=00"},
        {"x_signature": "sha256=" + hmac.digest(b"wrong", BODY, hashlib.sha256).hex()},
    ],
)
def test_without_a_right_signature_nothing_is_delivered(headers: dict[str, str]) -> None:
    """Forged, altered, captured long ago, or not there at all."""
    with rigged({}, **SIGNED) as rig:
        answer = ask(rig.client(), **headers)
        assert (answer.status, answer.code) == (401, "invalid_signature")
        assert delivered(rig) == []


def test_with_a_key_and_a_secret_both_are_needed() -> None:
    with rigged({}, **OPEN, **SIGNED) as rig:
        side = rig.client()
        assert ask(side, **standard()).code == "unauthorized"
        assert ask(side, key="hook-key").code == "invalid_signature"
        assert ask(side, key="hook-key", **standard()).status == 200
        assert len(delivered(rig)) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_only_post_delivers(method: str) -> None:
    with rigged({}, **OPEN) as rig:
        side = rig.client()
        side.send(request(method, PATH, key="hook-key"))
        assert side.unread.startswith(b"HTTP/1.1 405")
        assert delivered(rig) == []


# --- too large ---


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_body_that_is_too_large_is_refused_and_noted(is_whole: bool) -> None:
    """What it said is lost, so the operator hears that there was something."""
    with rigged({}, dify_body_bytes_max=1024, **OPEN) as rig:
        side = rig.client()
        whole = request("POST", PATH, b"x" * 1025, key="hook-key")
        side.send(whole if is_whole else whole[:-900])
        answer = side.answer()
        assert (answer.status, answer.code) == (413, "request_too_large")
        [note] = delivered(rig)
        assert note.refusal == "request_too_large"
        assert len(note.body) < 100


def test_a_stranger_can_leave_no_note() -> None:
    """Otherwise anybody could fill the store."""
    with rigged({}, dify_body_bytes_max=1024, **OPEN) as rig:
        for key in ("", "guess"):
            side = rig.client()
            side.send(request("POST", PATH, b"x" * 1025, key=key))
            assert side.answer().status == 401
        assert delivered(rig) == []


# --- a clerk that is away, slow, or another one ---


def held(rig: Rig, **headers: Any) -> Side:
    rig.clerk.held = {Deliver}
    side = rig.client()
    side.send(request("POST", PATH, BODY, key="hook-key", **headers))
    return side


def test_without_a_clerk_the_sender_is_told_to_come_again() -> None:
    with rigged({}, **OPEN) as rig:
        rig.clerk.is_away = True
        answer = ask(rig.client(), key="hook-key")
        assert (answer.status, answer.code) == (503, "store_unavailable")
        assert answer.headers["retry-after"] == "1"


def test_a_worker_that_has_lost_touch_with_the_store_takes_nothing() -> None:
    with rigged({}, revocation="strict", **OPEN) as rig:
        rig.pass_time(2, is_clerk_alive=False)
        assert ask(rig.client(), key="hook-key").status == 503
        assert delivered(rig) == []


def test_nobody_waits_longer_than_a_while() -> None:
    """The answer that comes too late finds nobody, and harms nobody."""
    with rigged({}, **OPEN) as rig:
        side = held(rig)
        rig.pass_time(16)
        assert side.answer().status == 503
        rig.clerk.held = set()
        rig.settle()
        assert side.unread == b""
        assert ask(side, key="hook-key").status == 200


def test_what_the_last_clerk_did_not_answer_is_to_be_sent_again() -> None:
    with rigged({}, **OPEN) as rig:
        side = held(rig)
        rig.clerk.held = set()
        rig.reconnect()
        assert side.answer().status == 503
        assert ask(side, key="hook-key").status == 200


def test_a_sender_that_leaves_is_forgotten() -> None:
    with rigged({}, **OPEN) as rig:
        side = held(rig)
        assert rig.gateway.running
        side.hang_up()
        assert not rig.gateway.running
        rig.clerk.held = set()
        rig.settle()


def test_answers_find_their_senders_in_whatever_order_they_come() -> None:
    with rigged({}, **OPEN) as rig:
        sides = [held(rig) for _ in range(3)]
        rig.clerk.waiting.reverse()
        rig.clerk.held = set()
        rig.settle()
        ids = [side.answer().headers["x-request-id"] for side in sides]
        assert ids == [one.request_id for one in delivered(rig)]
