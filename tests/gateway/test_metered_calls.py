"""Metered calls through a worker's parts, a real socket on either side."""

import json
from typing import Any

import aiohttp

from tests.fakes.upstream import running
from tests.gateway.bench_of_parts import Bench, bench_of_parts, daily, key_with

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


async def call(
    bench: Bench,
    body: Any = CHAT,
    key: str = "k",
    path: str = "/v1/chat/completions",
    **headers: str,
) -> tuple[int, dict[str, str], bytes]:
    async with (
        aiohttp.ClientSession(skip_auto_headers=["Accept-Encoding"]) as session,
        session.post(
            f"http://127.0.0.1:{bench.port}{path}",
            json=body,
            headers={"Authorization": f"Bearer {key}"} | headers,
        ) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.read()


async def test_an_answered_call_is_on_record_with_its_tokens() -> None:
    """The journal is the only way to the books."""
    with running() as upstream:
        async with bench_of_parts([f"{upstream.base_url}"], {"k": key_with(daily(1, 5))}) as bench:
            status, headers, body = await call(bench)
            assert status == 200
            assert json.loads(body)["usage"]["total_tokens"] > 0
            assert headers["x-ratelimit-remaining-requests"] == "4"
            [entry] = bench.entries()
            assert entry.counts["input_tokens"] == json.loads(body)["usage"]["prompt_tokens"]
            assert [use.spent for use in entry.uses] == [1]


async def test_no_more_than_the_limit_reach_the_upstream() -> None:
    """A request limit is exact."""
    with running() as upstream:
        async with bench_of_parts([f"{upstream.base_url}"], {"k": key_with(daily(1, 3))}) as bench:
            statuses = [(await call(bench))[0] for _ in range(5)]
            assert statuses == [200, 200, 200, 429, 429]
            assert upstream.stats.count("/v1/chat/completions") == 3


async def test_a_stream_passes_and_its_usage_chunk_is_stripped() -> None:
    """A client that did not ask for the usage chunk does not get it; the meter does."""
    with running() as upstream:
        async with bench_of_parts([f"{upstream.base_url}"], {"k": key_with(daily(1, 3))}) as bench:
            status, _, body = await call(bench, CHAT | {"stream": True})
            assert status == 200
            assert body.endswith(b"data: [DONE]\n\n")
            assert b'"choices":[]' not in body
            [entry] = bench.entries()
            assert entry.source == "reported"
