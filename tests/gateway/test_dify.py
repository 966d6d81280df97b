"""Dify's API through a worker's parts: who calls, what reaches the server, what is on record."""

import json
from typing import Any

import aiohttp
import msgspec
import pytest

from tallygate.core.dify import App, BilledBy
from tests.fakes import dify_answers as says
from tests.fakes.dify import APP_KEY, FakeDify, running_dify
from tests.fakes.dify_answers import Ids
from tests.gateway.bench_of_parts import Bench, bench_of_parts, daily, key_with
from tests.gateway.exchange_text import STREAM_HEAD, Incomplete, chunked, reply, request
from tests.gateway.rig import Rig, rigged

CHAT = {"query": "hi", "inputs": {}, "user": "somebody-else"}
KEYS = {"k": key_with(daily(1, 9), user_id="ann"), "nobody": key_with(id=2)}


def app(dify: FakeDify, **more: Any) -> App:
    values = {"name": "default", "instance": "dify", "api_url": dify.base_url, "secret": APP_KEY}
    return App(**(values | more))


async def call(
    bench: Bench,
    path: str = "/dify/v1/chat-messages",
    body: Any = CHAT,
    *,
    method: str = "POST",
    key: str = "k",
    **options: Any,
) -> tuple[int, dict[str, str], bytes]:
    headers = {"Authorization": f"Bearer {key}"} | options.pop("headers", {})
    if body is not None:
        options["json"] = body
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, f"http://127.0.0.1:{bench.port}{path}", headers=headers, **options
        ) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.read()


@pytest.mark.parametrize(
    ("path", "body", "counts"),
    [
        ("chat-messages", CHAT, {"input_tokens": 1033, "output_tokens": 128}),
        ("completion-messages", {"inputs": {}}, {"input_tokens": 1033, "output_tokens": 128}),
        ("workflows/run", {"inputs": {}}, None),
    ],
)
@pytest.mark.parametrize("mode", ["blocking", "streaming"])
async def test_a_call_is_metered_in_both_modes(
    path: str, body: Any, counts: dict[str, int] | None, mode: str
) -> None:
    """The journal's entry is all that billing will ever know of it."""
    with running_dify() as dify:
        async with bench_of_parts([], KEYS, apps=[app(dify, model=says.MODEL)]) as bench:
            status, headers, answer = await call(
                bench, f"/dify/v1/{path}", body | {"response_mode": mode}
            )
            assert status == 200
            assert headers["x-ratelimit-remaining-requests"] == "8"
            [entry] = bench.entries()
        assert dify.stats.faults == []
    ids = Ids(1)
    assert (entry.status, entry.outcome, entry.is_counted) == (200, "ok", True)
    assert (entry.provider, entry.model, entry.user_id) == ("dify/default", says.MODEL, "ann")
    assert sum(entry.counts.values()) == (sum(counts.values()) if counts else 1581)
    if counts:
        assert (entry.counts, entry.source) == (counts, "reported")
    event = entry.event
    assert event.instance == "dify" and event.is_charged
    alias = ("run", ids.run) if path == "workflows/run" else ("message", ids.message)
    assert tuple(event.aliases) == (alias,)
    whole = says.blocking(ids, path, says.usage()) if mode == "blocking" else None
    assert json.loads(answer) == whole if whole else answer.count(b"data: ") > 5


async def test_dify_hears_of_the_keys_account_and_of_its_own_key_only() -> None:
    """`user` decides whose conversations one sees; a client must not choose it."""
    with running_dify() as dify:
        async with bench_of_parts([], KEYS, apps=[app(dify)]) as bench:
            headers = {"x-api-key": "mine", "cookie": "a=b", "x-trace-id": "stolen"}
            await call(bench, headers=headers, body=CHAT | {"trace_id": "stolen"})
            await call(bench, key="nobody")
            await call(bench, "/dify/v1/chat-messages?user=bob&trace_id=x")
        first, second, third = dify.stats.seen
        assert [one["user"] for one in dify.bodies()] == ["ann", "key-2", "ann"]
        assert dify.bodies()[0]["trace_id"] is None
        assert first.key == APP_KEY
        for name in (b"x-api-key", b"cookie", b"x-trace-id"):
            assert first.header(name) is None
        assert first.header(b"content-type") == b"application/json"
        assert (second.target, third.target) == (
            b"/v1/chat-messages",
            b"/v1/chat-messages?user=ann",
        )


@pytest.mark.parametrize(
    ("path", "reached"),
    [
        ("/dify/v1/chat-messages", "/v1/chat-messages"),
        ("/dify/chat-messages", "/v1/chat-messages"),
        ("/dify/apps/help/v1/chat-messages", "/v1/chat-messages"),
        ("/dify/apps/help/chat-messages", "/v1/chat-messages"),
        ("/dify/v1/workflows/0b1f/run", "/v1/workflows/0b1f/run"),
    ],
)
async def test_apps_are_named_in_the_path(path: str, reached: str) -> None:
    with running_dify() as dify:
        apps = [app(dify), app(dify, name="help", secret="app-of-help")]
        async with bench_of_parts([], KEYS, apps=apps) as bench:
            await call(bench, path)
            assert len(bench.entries()) == 1
        [seen] = dify.stats.seen
        assert seen.path == reached
        assert seen.key == ("app-of-help" if "help" in path else APP_KEY)


async def test_several_models_are_parts_and_what_nobody_named_is_the_apps() -> None:
    with running_dify() as dify:
        async with bench_of_parts([], KEYS, apps=[app(dify, model="own")]) as bench:
            flow = CHAT | {"query": "chatflow", "response_mode": "streaming"}
            await call(bench, body=flow)
            await call(bench)
            flowed, plain = bench.entries()
    ids = Ids(1)
    assert tuple(flowed.event.aliases) == (("message", ids.message), ("run", ids.run))
    assert flowed.event.conversation_id == ids.conversation
    assert dict(flowed.event.parts) == {
        says.SMALL_MODEL: {"input_tokens": 400, "output_tokens": 20},
        says.MODEL: {"input_tokens": 1033, "output_tokens": 128},
    }
    assert (flowed.model, flowed.event.model) == (says.MODEL, says.MODEL)
    assert dict(plain.event.parts) == {"own": {"input_tokens": 1033, "output_tokens": 128}}


async def test_what_is_charged_elsewhere_is_recorded_as_such() -> None:
    with running_dify() as dify:
        by_gateway = app(dify, billed_by=BilledBy.GATEWAY)
        async with bench_of_parts([], KEYS, apps=[by_gateway]) as bench:
            await call(bench)
            assert not bench.entries()[0].event.is_charged


@pytest.mark.parametrize(
    ("name", "status", "is_counted", "code"),
    [
        ("bad", 400, True, "invalid_param"),
        ("busy", 429, False, "too_many_requests"),
        ("quota", 429, False, "rate_limit_error"),
        ("broken", 500, False, "internal_server_error"),
        ("unauthorized", 401, False, "upstream_refused"),
    ],
)
@pytest.mark.parametrize("mode", ["blocking", "streaming"])
async def test_difys_errors_go_on_and_charge_nothing(
    name: str, status: int, is_counted: bool, code: str, mode: str
) -> None:
    """But what Dify says of the app's own key is not for clients."""
    with running_dify() as dify:
        async with bench_of_parts([], KEYS, apps=[app(dify)]) as bench:
            got, _, body = await call(bench, body=CHAT | {"query": name, "response_mode": mode})
            [entry] = bench.entries()
    assert (got, json.loads(body)["code"], json.loads(body)["status"]) == (status, code, status)
    assert (entry.is_counted, entry.event, entry.counts) == (is_counted, None, {})


@pytest.mark.parametrize("name", ["error", "failed-chatflow", "no-usage", "stopped", "cut"])
async def test_streams_are_metered_whatever_their_end(name: str) -> None:
    """Tokens were spent, and HTTP said 200."""
    with running_dify() as dify:
        async with bench_of_parts([], KEYS, apps=[app(dify)]) as bench:
            status, _, body = await call(
                bench, body=CHAT | {"query": name, "response_mode": "streaming"}
            )
            [entry] = bench.entries()
    assert status == 200 and body.endswith(b"\n\n")
    assert sum(entry.counts.values()) > 0
    assert entry.event.message_id == Ids(1).message


@pytest.mark.parametrize(
    ("path", "body", "key", "status", "code"),
    [
        ("/dify/v1/chat-messages", CHAT, "wrong", 401, "unauthorized"),
        ("/dify/v1/parameters", None, "wrong", 401, "unauthorized"),
        ("/dify/apps/other/v1/chat-messages", CHAT, "k", 404, "not_found"),
        ("/dify/apps/other/parameters", None, "k", 404, "not_found"),
        ("/dify/v1/chat-messages", [], "k", 400, "invalid_param"),
        ("/dify/v1/chat-messages", CHAT, "chooser", 403, "model_not_allowed"),
        ("/dify/v1/parameters", None, "chooser", 403, "model_not_allowed"),
        ("/dify/v1/apps/annotations", None, "k", 403, "forbidden"),
        ("/dify/v1/workflows/logs", None, "k", 403, "forbidden"),
        ("/dify/v1/app/feedbacks", None, "k", 403, "forbidden"),
        ("/dify/v1/chat-messages", CHAT, "off", 403, "key_inactive"),
        ("/dify/v1/parameters", None, "off", 403, "key_inactive"),
    ],
)
async def test_refusals_are_in_difys_shape(
    path: str, body: Any, key: str, status: int, code: str
) -> None:
    """Dify's clients read `code`, `message` and `status`, and nothing reaches the server."""
    keys = KEYS | {"chooser": key_with(models=("gpt-*",)), "off": key_with(is_active=False)}
    with running_dify() as dify:
        async with bench_of_parts([], keys, apps=[app(dify)]) as bench:
            method = "GET" if body is None else "POST"
            got, _, answer = await call(bench, path, body, method=method, key=key)
            assert bench.entries() == []
        assert dify.stats.total == 0
    assert got == status
    value = json.loads(answer)
    assert (value["code"], value["status"], set(value)) == (
        code,
        status,
        {"code", "message", "status"},
    )


async def test_calls_are_limited_like_any_other() -> None:
    keys = {"k": key_with(daily(1, 2))}
    with running_dify() as dify:
        async with bench_of_parts([], keys, apps=[app(dify)]) as bench:
            answers = [await call(bench) for _ in range(3)]
            await call(bench, "/dify/v1/parameters", None, method="GET")
        assert [status for status, _, _ in answers] == [200, 200, 429]
        assert json.loads(answers[2][2])["code"] == "rate_limit_error"
        assert answers[2][1]["x-should-retry"] == "false"
        assert dify.answered == 2


async def test_other_calls_pass_unmetered_with_our_user() -> None:
    with running_dify() as dify:
        keys = KEYS | {"all": key_with(scopes=("dify",))}
        async with bench_of_parts([], keys, apps=[app(dify)]) as bench:
            listed = await call(
                bench, "/dify/v1/messages?user=bob&conversation_id=c", None, method="GET"
            )
            assert json.loads(listed[2])["target"] == "/v1/messages?conversation_id=c&user=ann"
            stopped = await call(bench, "/dify/v1/chat-messages/t1/stop", {"user": "bob"})
            assert json.loads(stopped[2]) == {"result": "success"}
            gone = await call(bench, "/dify/v1/conversations/c1", None, method="DELETE")
            assert gone[0] == 200
            form = aiohttp.FormData({"user": "bob"})
            form.add_field("file", b"\x89PNG" + bytes(5000), filename="a.png")
            uploaded = await call(bench, "/dify/v1/files/upload", None, data=form)
            assert uploaded[0] == 201
            spoken = await call(bench, "/dify/v1/text-to-audio", {"text": "hi", "user": "bob"})
            assert (spoken[1]["Content-Type"], len(spoken[2])) == ("audio/mpeg", 1003)
            whole = await call(bench, "/dify/v1/workflows/logs", None, method="GET", key="all")
            assert whole[0] == 200
            assert bench.entries() == []
        by_path = {seen.path: seen for seen in dify.stats.seen}
        for path in ("/v1/chat-messages/t1/stop", "/v1/conversations/c1", "/v1/text-to-audio"):
            assert json.loads(by_path[path].body)["user"] == "ann"
        upload = by_path["/v1/files/upload"].body
        assert b"bob" not in upload and b'name="user"\r\n\r\nann\r\n' in upload
        assert {seen.key for seen in dify.stats.seen} == {APP_KEY}
        assert dify.stats.faults == []


async def test_a_server_that_is_gone_is_said_to_be() -> None:
    with running_dify() as dify:
        async with bench_of_parts([], KEYS, apps=[app(dify)]) as bench:
            dify.go_away()
            for path, body in (("chat-messages", CHAT), ("parameters", None)):
                method = "GET" if body is None else "POST"
                status, _, answer = await call(bench, f"/dify/v1/{path}", body, method=method)
                assert (status, json.loads(answer)["code"]) == (502, "upstream_unreachable")
            dify.come_back()
            dify.refused_keys.add(APP_KEY)
            status, _, answer = await call(bench, "/dify/v1/parameters", None, method="GET")
            assert (status, json.loads(answer)["code"]) == (502, "upstream_refused")


# --- byte by byte ---

APP = App("default", "dify", "http://dify.test/v1", APP_KEY)


def chat(**more: Any) -> bytes:
    body = json.dumps(CHAT | {"response_mode": "streaming"} | more).encode()
    return request("POST", "/dify/v1/chat-messages", body)


def began(rig: Rig, *events: bytes) -> None:
    client = rig.client()
    client.send(chat())
    rig.upstream.send(STREAM_HEAD + chunked(*events))


@pytest.mark.parametrize("is_message_end_first", [False, True])
def test_a_stream_waits_for_the_journal_from_its_last_event_on(is_message_end_first: bool) -> None:
    """No client holds a whole answer that is not on the books, whichever end comes last."""
    events = list(says.chatflow(Ids(1), is_message_end_first=is_message_end_first))
    with rigged(KEYS, apps=[APP]) as rig:
        began(rig, *events[:-2])
        client = rig.clients[-1]
        assert client.unread.count(b"data: ") == len([e for e in events[:-2] if e[:5] == b"data:"])
        rig.upstream.send(chunked(events[-2]), is_settled=False)
        held = b'"message_end"' if is_message_end_first else b"nothing"
        assert held not in client.unread
        before = client.unread
        rig.upstream.send(chunked(events[-1]), is_settled=False)
        assert client.unread == before and rig.entries() == []
        rig.settle()
        [entry] = rig.entries()
        assert entry.event.message_id == Ids(1).message
        assert client.unread.count(b'"message_end",') == 1
        with pytest.raises(Incomplete):
            client.answer()
        rig.upstream.send(b"0\r\n\r\n")
        assert client.answer().body == b"".join(events)


def test_a_client_that_leaves_is_charged_for_what_dify_reports() -> None:
    """The stream is read to its end."""
    events = list(says.chat(Ids(1)))
    with rigged(KEYS, apps=[APP]) as rig:
        began(rig, events[0])
        rig.clients[-1].hang_up()
        rig.upstream.send(chunked(*events[1:]) + b"0\r\n\r\n")
        [entry] = rig.entries()
        assert (entry.outcome, entry.source) == ("client_gone", "reported")
        assert entry.counts == {"input_tokens": 1033, "output_tokens": 128}


BLOCKING = request("POST", "/dify/v1/chat-messages", json.dumps(CHAT).encode())
HALF = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"


@pytest.mark.parametrize("seen", ["nothing", "half an answer", "a stream without text"])
def test_a_client_that_leaves_for_longer_than_we_wait_leaves_it_to_the_operator(seen: str) -> None:
    """No name or count of it need have come by then; that must not make it free."""
    with rigged(KEYS, apps=[msgspec.structs.replace(APP, model="small")]) as rig:
        client = rig.client()
        client.send(chat() if seen == "a stream without text" else BLOCKING)
        if seen == "half an answer":
            rig.upstream.send(HALF)
        elif seen == "a stream without text":
            rig.upstream.send(STREAM_HEAD + chunked(next(iter(says.chatflow(Ids(1))))))
        client.hang_up()
        rig.pass_time(rig.gateway.client_gone_drain_ms / 1000 + 2)
        [entry] = rig.entries()
        assert entry.outcome == "client_gone"
        event = entry.event
        assert event.is_unknown and event.is_charged and event.model == "small"
        [(model, counts)] = event.parts
        assert model == "small" and counts["input_tokens"] > 0 and not counts["output_tokens"]
        assert bool(event.aliases) is (seen == "a stream without text")


@pytest.mark.parametrize("status", [b"400 Bad Request", b"500 Internal Server Error"])
def test_what_dify_refused_is_free_though_its_client_has_left(status: bytes) -> None:
    with rigged(KEYS, apps=[APP]) as rig:
        client = rig.client()
        client.send(BLOCKING)
        client.hang_up()
        rig.upstream.send(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
        [entry] = rig.entries()
        assert entry.event is None


def test_what_is_charged_elsewhere_needs_no_decision_when_its_client_leaves() -> None:
    with rigged(KEYS, apps=[msgspec.structs.replace(APP, billed_by=BilledBy.GATEWAY)]) as rig:
        client = rig.client()
        client.send(BLOCKING)
        client.hang_up()
        rig.pass_time(rig.gateway.client_gone_drain_ms / 1000 + 2)
        [entry] = rig.entries()
        assert entry.event is None


def test_an_app_that_is_changed_is_called_as_it_is_now() -> None:
    """Heads are remembered; the app's key in them must not be."""
    with rigged(KEYS, apps=[APP]) as rig:
        client = rig.client()
        for secret in ("app-one", "app-two"):
            rig.reload_apps(App("default", "dify", "http://dify.test/v1", secret))
            client.send(chat(response_mode="blocking"))
            assert f"Bearer {secret}".encode() in rig.upstream.take()
            rig.upstream.send(reply(body=b'{"event":"message"}'))
            assert client.answer().status == 200
        rig.reload_apps()
        client.send(chat())
        assert client.answer().status == 404


def test_an_unmetered_answer_is_cut_when_its_server_falls_silent() -> None:
    """Nothing waits for ever."""
    with rigged(KEYS, apps=[APP]) as rig:
        client = rig.client()
        client.send(request("GET", "/dify/v1/parameters"))
        rig.upstream.send(reply(body=b"", content_length="", transfer_encoding="chunked"))
        rig.pass_time(1_900)
        assert client.transport.was_aborted or client.transport.was_closed
        assert not rig.gateway.running


def test_an_unmetered_call_waits_for_its_key_to_be_known() -> None:
    from tallygate.core.ports import LookUp

    with rigged(KEYS, apps=[APP]) as rig:
        rig.clerk.held.add(LookUp)
        client = rig.client()
        client.send(request("GET", "/dify/v1/parameters"))
        assert client.unread == b""
        rig.pass_time(6)
        assert client.answer().status == 503
        client.send(request("GET", "/dify/v1/info"))
        rig.clerk.held.clear()
        rig.settle()
        assert b"GET /v1/info?user=ann HTTP/1.1\r\n" in rig.upstream.take()


# --- with a wallet ---

WALLET = 5
POINT = 1_000_000
PAID = {"k": key_with(daily(1, 9), user_id="ann", wallet_id=WALLET)}


def paid(rig: Rig, micros: int) -> None:
    rig.clerk.books.balances[WALLET] = micros
    rig.price()


@pytest.mark.parametrize(("billed_by", "held"), [("dify", 10 * POINT), ("gateway", 0)])
def test_a_call_sets_its_apps_hold_aside_until_it_has_settled(billed_by: str, held: int) -> None:
    """What it costs is found out when it settles; until then the money must not go elsewhere."""
    held_app = App("default", "dify", "http://dify.test/v1", APP_KEY, BilledBy(billed_by))
    held_app = msgspec.structs.replace(held_app, hold_micros=10 * POINT)
    with rigged(PAID, apps=[held_app]) as rig:
        paid(rig, 15 * POINT)
        first, second = rig.client(), rig.client()
        first.send(chat())
        second.send(chat())
        assert rig.requests_upstream() == (1 if held else 2)
        if held:
            refused = second.answer()
            assert (refused.status, refused.json["code"]) == (429, "rate_limit_error")
            assert refused.headers["x-should-retry"] == "false"
        stream = chunked(*says.chat(Ids(1))) + b"0\r\n\r\n"
        rig.upstreams[0].send(STREAM_HEAD + stream)
        entry = rig.entries()[0]
        assert entry.charge is None and entry.event is not None
        of_wallet = [(use.reserved, use.spent) for use in entry.uses if use.limit_id == -WALLET]
        assert of_wallet == [(held, 0)]


def test_an_empty_wallet_calls_nothing() -> None:
    held_app = msgspec.structs.replace(APP, hold_micros=POINT)
    with rigged(PAID, apps=[held_app]) as rig:
        paid(rig, POINT - 1)
        client = rig.client()
        client.send(chat())
        assert client.answer().status == 429
        assert rig.requests_upstream() == 0
        client.send(request("GET", "/dify/v1/parameters"))
        assert rig.requests_upstream() == 1  # what runs no model costs nothing
