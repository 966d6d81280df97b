"""POST /api/usage-log at a worker: who may report, what reaches the journal, what is answered when.

No clerk is asked and no store: the journal is all there is between a report and its answer.
"""

import errno
import hashlib
import json
from typing import Any

import pytest

from tallygate.core.guesses import GUESSES_MAX
from tallygate.core.signatures import key_of, sign
from tallygate.core.usage_report import ReportedUse, event_of
from tallygate.journal.writer import Journal, JournalFailed
from tests.gateway.exchange_text import Answer, Incomplete, request
from tests.gateway.rig import NOON_MS, Rig, Side, rigged

PATH = "/api/usage-log"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ADMIN = {"admin_token_hash": hashlib.sha256(b"the-admin").digest()}
CLOSED = {"usage_secret": SECRET, **ADMIN}
OPEN = {**CLOSED, "usage_open": True}
TOKEN = hashlib.sha256(b"ntk_token").digest()
EVENT = {"token_hash": TOKEN.hex(), "route": "/api/test", "timestamp": 1_699_000_000_000}
LOGGED = b'{"status":"logged"}'


def ask(side: Side, body: Any = EVENT, method: str = "POST", **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    side.send(request(method, PATH, content, **({"key": ""} | headers)))
    return side.answer(is_head=method == "HEAD")


def report(rig: Rig, body: Any = EVENT, **headers: str) -> Answer:
    return ask(rig.client(), body, x_usage_secret=SECRET, **headers)


def uses(rig: Rig) -> list[ReportedUse]:
    return [use for report in rig.reports() for use in report.uses]


def signed(body: bytes, at_ms: int = NOON_MS, name: str = "msg_1") -> dict[str, str]:
    return {
        "webhook_id": name,
        "webhook_timestamp": str(at_ms // 1000),
        "webhook_signature": sign(key_of(SECRET), name, at_ms // 1000, body),
    }


# --- what is taken ---


def test_the_seeds_own_report_is_logged_when_the_log_is_open() -> None:
    """Its worker sends no secret, and a hash that nobody has."""
    with rigged({}, **OPEN) as rig:
        seed = {"token_hash": "test_hash_123", "route": "/api/test", "timestamp": 1699000000000}
        answer = ask(rig.client(), seed, content_type="application/json")
        assert (answer.status, answer.body) == (200, LOGGED)
        assert answer.headers["content-type"] == "application/json"
        [written] = rig.reports()
        assert written.request_id == answer.headers["x-request-id"]
        assert written.uses == [ReportedUse(b"", "/api/test", 1699000000000, "", "", 0, 0, b"")]


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_json_is_read_whatever_its_type_is_said_to_be(content_type: str) -> None:
    with rigged({}, **CLOSED) as rig:
        assert report(rig, content_type=content_type).body == LOGGED
        assert len(uses(rig)) == 1


def test_a_batch_is_one_answer_and_all_of_it_is_journaled_in_order() -> None:
    """A thousand events with all they may say, over several frames of the journal."""
    events = [
        EVENT
        | {
            "timestamp": NOON_MS - number,
            "event_id": f"e-{number}",
            "user_agent": "a" * 128,
            "ip_address": "203.0.113.7",
            "response_status": 200,
        }
        for number in range(1000)
    ]
    with rigged({}, **CLOSED) as rig:
        assert report(rig, events).body == LOGGED
        assert [use.at_ms for use in uses(rig)] == [NOON_MS - number for number in range(1000)]
        assert uses(rig)[7].event == event_of("e-7")
        written = rig.reports()
        assert len(written) > 1
        assert len({one.request_id for one in written}) == 1
        assert rig.gateway.usage_log.events == 1000
        assert rig.gateway.usage_log.reports == 1


def test_a_time_in_the_future_is_the_stores_now() -> None:
    with rigged({}, **CLOSED) as rig:
        report(rig, [EVENT | {"timestamp": NOON_MS + 86_400_000}, EVENT])
        assert [use.at_ms for use in uses(rig)] == [NOON_MS, 1_699_000_000_000]


def test_a_chunked_or_slowly_sent_report_is_gathered() -> None:
    with rigged({}, **CLOSED) as rig:
        side = rig.client()
        body = json.dumps(EVENT).encode()
        whole = request("POST", PATH, body, key="", x_usage_secret=SECRET)
        side.send(whole[:-5])
        assert rig.reports() == []
        side.send(whole[-5:])
        assert side.answer().body == LOGGED
        head = f"POST {PATH} HTTP/1.1\r\nhost: g\r\nx-usage-secret: {SECRET}\r\n".encode()
        chunked = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        side.send(head + chunked)
        assert side.answer().body == LOGGED
        assert len(uses(rig)) == 2


# --- recorded before answered ---


def test_a_report_is_answered_only_after_it_is_in_the_journal() -> None:
    """Who was told `logged` has no copy to send again."""
    with rigged({}, **CLOSED) as rig:
        side = rig.client()
        content = json.dumps(EVENT).encode()
        whole = request("POST", PATH, content, key="", x_usage_secret=SECRET)
        side.send(whole, is_settled=False)
        assert rig.reports() == []
        with pytest.raises(Incomplete):
            side.answer()
        rig.settle()
        assert len(rig.reports()) == 1
        assert side.answer().body == LOGGED


def test_a_client_that_leaves_has_reported_all_the_same() -> None:
    with rigged({}, **CLOSED) as rig:
        side = rig.client()
        whole = request("POST", PATH, json.dumps(EVENT).encode(), key="", x_usage_secret=SECRET)
        side.send(whole, is_settled=False)
        side.hang_up()
        assert len(uses(rig)) == 1
        assert rig.gateway.running == set()


def test_a_journal_that_can_not_be_written_logs_nothing_as_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: Journal) -> None:
        raise JournalFailed(f"errno {errno.EIO}")

    with rigged({}, **CLOSED) as rig:
        with monkeypatch.context() as patched:
            patched.setattr(Journal, "write", fail)
            first, second = report(rig), report(rig)
        for answer in (first, second):
            assert (answer.status, answer.code) == (503, "journal_unavailable")
            assert answer.headers["retry-after"] == "1"
        rig.sweep()
        assert report(rig).body == LOGGED


def test_a_full_journal_takes_no_more_and_says_so() -> None:
    """A burst that settling does not keep up with must not fill the disk."""
    bounds = {"journal_segment_bytes": 1 << 17, "journal_bytes_max": 1 << 18}
    events = [EVENT | {"user_agent": "x" * 128}] * 400
    with rigged({}, **CLOSED, **bounds) as rig:
        statuses = [report(rig, events).status for _ in range(12)]
        assert (statuses[0], statuses[-1]) == (200, 503)
        assert set(statuses) == {200, 503}
        assert len(uses(rig)) == 400 * statuses.count(200)


# --- who may not ---


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_usage_secret": SECRET[:-1]},
        {"x_usage_secret": SECRET.upper()},
        {"x_api_key": SECRET},
        {"key": SECRET},
        {"x_admin_token": "another"},
    ],
)
def test_without_the_secret_nothing_is_reported(headers: dict[str, str]) -> None:
    with rigged({}, **CLOSED) as rig:
        answer = ask(rig.client(), **headers)
        assert (answer.status, answer.code) == (401, "unauthorized")
        assert uses(rig) == []
        assert SECRET not in answer.body.decode()


def test_a_log_without_any_secret_is_closed_to_strangers() -> None:
    """Nobody set one and none was handed down: the empty secret is nobody's."""
    with rigged({}, **ADMIN) as rig:
        for headers in ({}, {"x_usage_secret": ""}, signed(json.dumps(EVENT).encode())):
            assert ask(rig.client(), **headers).status == 401
        assert uses(rig) == []


@pytest.mark.parametrize("headers", [{"key": "the-admin"}, {"x_admin_token": "the-admin"}])
@pytest.mark.parametrize("options", [CLOSED, {**CLOSED, "usage_allow": "203.0.113.0/24"}])
def test_the_operator_always_may(headers: dict[str, str], options: dict[str, Any]) -> None:
    with rigged({}, **options) as rig:
        assert ask(rig.client("192.0.2.1"), **headers).body == LOGGED


@pytest.mark.parametrize("how", [{"usage_open": True}, {}])
def test_an_address_that_is_not_allowed_reports_nothing_secret_or_not(how: dict[str, Any]) -> None:
    options = {**CLOSED, "usage_allow": "203.0.113.0/24,cloudflare", **how}
    with rigged({}, **options) as rig:
        for host in ("203.0.113.9", "162.158.1.1", "2606:4700::1", "::ffff:203.0.113.9"):
            assert ask(rig.client(host), x_usage_secret=SECRET).body == LOGGED
        answer = ask(rig.client("192.0.2.1"), x_usage_secret=SECRET)
        assert (answer.status, answer.code) == (403, "address_not_allowed")
        assert len(uses(rig)) == 4


def test_an_allowed_address_still_needs_the_secret() -> None:
    """Everybody's workers at Cloudflare come from the same ranges."""
    with rigged({}, **CLOSED, usage_allow="cloudflare") as rig:
        assert ask(rig.client("162.158.1.1")).status == 401


def test_the_address_is_what_a_trusted_proxy_says() -> None:
    options = {**CLOSED, "usage_allow": "203.0.113.0/24", "trusted_proxies": "127.0.0.1"}
    with rigged({}, **options) as rig:
        assert report(rig, x_forwarded_for="203.0.113.9").body == LOGGED
        assert report(rig, x_forwarded_for="192.0.2.9").status == 403


def test_guessing_is_slowed_down_and_the_right_secret_is_heard_all_the_same() -> None:
    """Workers of many people share an address: one that guesses must not silence another."""
    with rigged({}, **CLOSED) as rig:
        side = rig.client("192.0.2.1")
        codes = [
            ask(side, x_usage_secret=f"guess-{number}").code for number in range(GUESSES_MAX + 5)
        ]
        assert codes[:GUESSES_MAX] == ["unauthorized"] * GUESSES_MAX
        assert set(codes[GUESSES_MAX:]) == {"rate_limit_exceeded"}
        assert ask(side, x_usage_secret=SECRET).body == LOGGED
        assert ask(side, x_admin_token="the-admin").status == 429
        rig.pass_time(2)
        assert ask(side, x_admin_token="the-admin").body == LOGGED


# --- signed deliveries ---


def test_a_signature_by_the_secret_lets_a_report_in() -> None:
    body = json.dumps([EVENT, EVENT]).encode()
    with rigged({}, **CLOSED) as rig:
        assert ask(rig.client(), body, **signed(body)).body == LOGGED
        assert len(uses(rig)) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"webhook_signature": "v1,AAAA"},
        {"webhook_id": "msg_2"},
        {"webhook_timestamp": str(NOON_MS // 1000 + 1)},
        signed(json.dumps(EVENT).encode(), NOON_MS - 301_000),
        signed(json.dumps(EVENT).encode(), NOON_MS + 301_000),
        signed(b"another body"),
    ],
)
def test_a_signature_of_something_else_or_of_another_time_is_refused(
    change: dict[str, str],
) -> None:
    body = json.dumps(EVENT).encode()
    with rigged({}, **CLOSED) as rig:
        answer = ask(rig.client(), body, **(signed(body) | change))
        assert (answer.status, answer.code) == (401, "invalid_signature")
        assert uses(rig) == []


def test_a_replayed_delivery_is_known_by_its_events() -> None:
    """Within its five minutes nobody can tell a replay from a retry: it must count once."""
    body = json.dumps([EVENT, EVENT]).encode()
    with rigged({}, **CLOSED) as rig:
        for _ in range(2):
            assert ask(rig.client(), body, **signed(body)).body == LOGGED
        first, second, third, fourth = (use.event for use in uses(rig))
        assert (first, second) == (third, fourth)
        assert len({first, second, b""}) == 3


def test_an_idempotency_key_names_a_report_like_a_delivery() -> None:
    with rigged({}, **CLOSED) as rig:
        for body in (EVENT, EVENT, EVENT | {"route": "/other"}):
            report(rig, body, idempotency_key="once")
        first, second, other = (use.event for use in uses(rig))
        assert first == second != other
        answer = report(rig, idempotency_key="k" * 256)
        assert (answer.status, answer.code) == (400, "bad_request")


# --- what is refused ---


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_request"),
        (b"", 400, "bad_request"),
        ([], 400, "bad_request"),
        (EVENT | {"timestamp": "now"}, 400, "bad_request"),
        (EVENT | {"more": 1}, 400, "unknown_field"),
        ([EVENT] * 1001, 413, "request_too_large"),
    ],
)
def test_a_report_that_can_not_be_read_is_refused_whole(body: Any, status: int, code: str) -> None:
    with rigged({}, **CLOSED) as rig:
        answer = report(rig, body)
        assert (answer.status, answer.code) == (status, code)
        assert answer.json["error"]["request_id"] == answer.headers["x-request-id"]
        assert uses(rig) == []


def test_a_body_that_is_too_large_is_refused_before_it_is_sent() -> None:
    with rigged({}, **CLOSED, usage_body_bytes_max=2000) as rig:
        assert report(rig, b"[" + b" " * 2000).code == "request_too_large"
        side = rig.client()
        head = f"POST {PATH} HTTP/1.1\r\nhost: g\r\nx-usage-secret: {SECRET}\r\n"
        side.send(f"{head}content-length: 2001\r\n\r\n".encode())
        assert side.answer().code == "request_too_large"


def test_who_may_not_report_is_told_before_the_body() -> None:
    """A megabyte from a stranger is not even gathered."""
    with rigged({}, **CLOSED) as rig:
        side = rig.client()
        side.send(f"POST {PATH} HTTP/1.1\r\nhost: g\r\ncontent-length: 900000\r\n\r\n".encode())
        assert side.answer().code == "unauthorized"


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_reports_are_posted(method: str) -> None:
    with rigged({}, **OPEN) as rig:
        assert ask(rig.client(), b"", method).status == 405
        assert uses(rig) == []


# --- what was refused is told ---


def test_refused_reports_are_counted_and_told_to_the_journal() -> None:
    """An operator must see that a worker of theirs is turned away, whatever becomes of this one."""
    with rigged({}, **CLOSED) as rig:
        for number in range(5):
            ask(rig.client(f"192.0.2.{number}"))
        report(rig, b"{")
        rig.pass_time(2)
        told = {one.code: one for report in rig.reports() for one in report.refused}
        assert {code: one.count for code, one in told.items()} == {
            "unauthorized": 5,
            "bad_request": 1,
        }
        assert (told["unauthorized"].address, told["unauthorized"].last_ms) == (
            "192.0.2.4",
            NOON_MS,
        )
        assert rig.gateway.usage_log.refused == 6
        before = len(rig.reports())
        rig.pass_time(5)
        assert len(rig.reports()) == before, "nothing new is nothing to tell"


def test_a_flood_of_refused_reports_writes_little() -> None:
    with rigged({}, **CLOSED) as rig:
        for _ in range(10):
            for _ in range(50):
                ask(rig.client())
            rig.sweep()
        rig.pass_time(1)
        assert len(rig.reports()) <= 3


def test_what_was_refused_last_is_told_at_the_end() -> None:
    with rigged({}, **CLOSED) as rig:
        ask(rig.client())
        rig.gateway.usage_log.tell_refused()
        rig.settle()
        assert [one.code for report in rig.reports() for one in report.refused] == ["unauthorized"]
