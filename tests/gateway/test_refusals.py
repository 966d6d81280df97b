"""Who is refused, in which order and in which words; a refused request costs nobody anything."""

import pytest

from tallygate.core.ports import Key
from tallygate.core.provider import Protocol
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import chat, reply, request
from tests.gateway.rig import NOON_MS, Rig, provider, rigged

ONE = daily(1, 1)


def test_refusals_come_in_the_order_of_the_contract() -> None:
    """Each step is reached only by who passed those before: less is told to who may less."""
    bad_model = {"model": "other", "messages": []}
    steps: list[tuple[dict[str, Key], object, int, str]] = [
        ({}, b"not json", 401, "invalid_api_key"),
        ({"k": key_with(ONE, is_active=False, addresses=())}, b"not json", 403, "key_inactive"),
        ({"k": key_with(ONE, expires_ms=NOON_MS, addresses=())}, b"no", 403, "key_expired"),
        ({"k": key_with(ONE, addresses=())}, b"no", 403, "address_not_allowed"),
        ({"k": key_with(ONE, models=("m",))}, b"no", 400, "bad_request"),
        ({"k": key_with(ONE, models=("m",))}, bad_model, 403, "model_not_allowed"),
        ({"k": key_with(daily(1, 0))}, bad_model, 404, "model_not_found"),
        ({"k": key_with(daily(1, 0))}, {"model": "m", "messages": []}, 429, "insufficient_quota"),
    ]
    for keys, body, status, code in steps:
        with rigged(keys, provider(models=("m",)), provider("p1", models=("n",))) as rig:
            answer = rig.client().ask(body=body)
            assert (answer.status, answer.code) == (status, code)
            assert rig.requests_upstream() == 0
            assert rig.entries() == []


def test_a_refused_request_takes_no_unit() -> None:
    """The limit is for what was let through: after refusals of every kind all of it is left."""
    key = key_with(ONE, models=("m",))
    with rigged({"k": key}, provider(models=("m",)), provider("p1", models=("n",))) as rig:
        client = rig.client()
        refused = [b"{", {"model": "n"}, {"messages": []}, {"model": "m", "n": 0}]
        assert {client.ask(body=body).status for body in refused} == {400, 403}
        client.send(chat())
        rig.upstream.send(reply())
        assert client.answer().status == 200
        assert client.ask().status == 429
        assert len(rig.entries()) == 1


def test_a_bad_body_names_the_member_that_is_wrong() -> None:
    """Callers find the mistake by `param`, as with OpenAI itself."""
    with rigged({"k": key_with(ONE)}) as rig:
        answer = rig.client().ask(body={"model": "m", "n": "two"})
        assert answer.status == 400
        assert answer.json["error"]["param"] == "n"
        assert answer.json["error"]["type"] == "invalid_request_error"


def test_an_unknown_key_is_refused_in_the_shape_of_the_api_that_was_called() -> None:
    """SDKs read their own error format; anything else looks like a broken server to them."""
    with rigged({}) as rig:
        openai = rig.client().ask(key="roc_nobody")
        assert openai.json["error"]["code"] == "invalid_api_key"
        assert openai.headers["www-authenticate"] == "Bearer"
        assert "roc_nobody" not in openai.body.decode()
        client = rig.client()
        client.send(request(path="/v1/messages", body=b'{"model":"m","max_tokens":1}', key="x"))
        anthropic = client.answer()
        assert anthropic.status == 401
        assert anthropic.json["type"] == "error"
        assert anthropic.json["error"]["type"] == "authentication_error"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_metered_paths_take_only_posts(method: str) -> None:
    """A HEAD is answered without a body, or the next answer on the connection would be misread."""
    with rigged({"k": key_with(ONE)}) as rig:
        client = rig.client()
        client.send(request(method))
        answer = client.answer(is_head=method == "HEAD")
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
        if method != "HEAD":
            assert answer.json["error"]["type"] == "invalid_request_error"
        assert client.unread == b""
        client.send(request("GET", "/healthz"))
        assert client.answer().json == {"ok": True}


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer k"},
        {"authorization": "bearer k"},
        {"x_trial_key": "k"},
        {"X_API_Key": "k"},
        {"x_api_key": "k"},
    ],
)
def test_a_key_is_taken_from_each_of_its_places(headers: dict[str, str]) -> None:
    """Every client finds one that it can set; none of them reaches the upstream."""
    with rigged({"k": key_with(ONE)}) as rig:
        client = rig.client()
        client.send(chat(key="", **headers))
        sent = rig.upstream.transport.written.lower()
        assert b"authorization: bearer sk-operator\r\n" in sent
        assert b"bearer k\r\n" not in sent
        assert b"-key: k" not in sent


def test_no_key_at_all_says_how_to_send_one() -> None:
    with rigged({"k": key_with(ONE)}) as rig:
        answer = rig.client().ask(key="")
        assert answer.status == 401
        assert "Authorization: Bearer" in answer.json["error"]["message"]
        assert rig.clerk.asked == []


def passthrough_status(rig: Rig, method: str = "GET", path: str = "/v1/files/7") -> int:
    client = rig.client()
    before = rig.requests_upstream()
    client.send(request(method, path))
    if rig.requests_upstream() > before:
        return 0
    return client.answer(is_head=method == "HEAD").status


def test_other_paths_need_both_the_providers_list_and_a_scope_of_the_key() -> None:
    """What cannot be metered is closed unless two people opened it."""
    listing = provider(passthrough=("/v1/files/*",))
    for scopes in [("passthrough",), ("/v1/files/7",)]:
        with rigged({"k": key_with(ONE, scopes=scopes)}, listing) as rig:
            assert passthrough_status(rig) == 0
            assert passthrough_status(rig, path="/v1/audio") == 404
    with rigged({"k": key_with(ONE)}, listing) as rig:
        assert passthrough_status(rig) == 404
    with rigged({"k": key_with(ONE, scopes=("passthrough",))}, provider()) as rig:
        assert passthrough_status(rig) == 404


def test_a_request_that_has_been_here_before_is_refused() -> None:
    """A provider that points back at us would otherwise eat every connection."""
    scoped = key_with(daily(1, 9), scopes=("passthrough",))
    with rigged({"k": scoped}, provider(passthrough=("*",))) as rig:
        client = rig.client()
        client.send(chat())
        sent = rig.upstream.transport.written.decode()
        via = next(line for line in sent.split("\r\n") if line.startswith("via: "))
        assert rig.client().ask(via=via.removeprefix("via: ")).status == 422
        client = rig.client()
        client.send(request("GET", "/v1/files", via=via.removeprefix("via: ")))
        assert client.answer().status == 422
        assert rig.requests_upstream() == 1


@pytest.mark.parametrize("path", ["/internal", "/internal/demo/v1/models", "/%69nternal/demo/v1"])
def test_the_inner_entrance_is_closed_to_outsiders(path: str) -> None:
    """The demo provider would answer there without a key, in whatever spelling."""
    with rigged({}) as rig:
        client = rig.client()
        client.send(request("GET", path))
        assert client.answer().status in (400, 404)
        assert rig.upstreams == []


def test_an_anthropic_call_is_not_offered_a_provider_of_the_other_protocol() -> None:
    """Bodies are not translated, so a provider must speak what the client speaks."""
    openai, anthropic = provider(), provider("a", protocol=Protocol.ANTHROPIC)
    body = b'{"model":"m","max_tokens":9,"messages":[]}'
    with rigged({"k": key_with(ONE)}, openai) as rig:
        client = rig.client()
        client.send(request(path="/v1/messages", body=body))
        assert client.answer().status == 404
    with rigged({"k": key_with(ONE)}, openai, anthropic) as rig:
        client = rig.client()
        client.send(request(path="/v1/messages", body=body))
        assert b"x-api-key: sk-operator\r\n" in rig.upstream.transport.written
        assert b"anthropic-version: " in rig.upstream.transport.written


def test_without_any_provider_the_gate_says_so() -> None:
    with rigged({"k": key_with(ONE)}) as rig:
        rig.reload()
        answer = rig.client().ask()
        assert (answer.status, answer.code) == (503, "no_provider")
