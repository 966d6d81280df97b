"""The demo provider: an honest echo in OpenAI's shape."""

import httpx2 as httpx
import msgspec
import pytest

pytestmark = pytest.mark.anyio

CHAT = "/internal/demo/v1/chat/completions"


def body(**more: object) -> dict:
    return {"model": "demo/echo", "messages": [{"role": "user", "content": "hello there"}], **more}


async def test_it_repeats_what_it_was_told_and_reports_usage(stranger: httpx.AsyncClient) -> None:
    """The first chat of a new installation: answered, and metered like a real one."""
    answer = (await stranger.post(CHAT, json=body())).json()
    assert answer["choices"][0]["message"]["content"] == "Echo: hello there"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}


async def test_it_streams_and_ends_with_usage_when_asked(stranger: httpx.AsyncClient) -> None:
    """Streams are metered by their last chunk."""
    request = body(stream=True, stream_options={"include_usage": True})
    lines = (await stranger.post(CHAT, json=request)).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [msgspec.json.decode(line.removeprefix("data: ")) for line in lines[:-2]]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == "Echo: hello there"
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["total_tokens"] == 5


async def test_it_keeps_to_a_limit_of_tokens(stranger: httpx.AsyncClient) -> None:
    """Reservations are tried out against it."""
    choice = (await stranger.post(CHAT, json=body(max_tokens=2))).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Echo: hello ", "length")


async def test_it_has_one_model_and_understands_parts(stranger: httpx.AsyncClient) -> None:
    """Anything else is refused as OpenAI would."""
    listed = (await stranger.get("/internal/demo/v1/models")).json()
    assert [one["id"] for one in listed["data"]] == ["demo/echo"]
    missing = await stranger.post(CHAT, json=body(model="gpt-5"))
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")
    assert (await stranger.post(CHAT, content="{")).status_code == 400
    parts = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    answer = (await stranger.post(CHAT, json=body(messages=parts))).json()
    assert answer["choices"][0]["message"]["content"] == "Echo: hi"


async def test_nobody_reaches_it_from_outside(stranger: httpx.AsyncClient) -> None:
    """It counts nothing and checks no key: only gateways may use it."""
    for path in (CHAT, "/internal/demo/v1/models"):
        for method in ("GET", "POST"):
            answer = await stranger.request(
                method, path, headers={"X-Forwarded-For": "203.0.113.9"}, json=body()
            )
            assert answer.status_code in (404, 405)
