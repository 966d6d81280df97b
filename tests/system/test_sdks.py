"""The official SDKs of OpenAI and Anthropic, unmodified, through a real `tallygate serve`.

Whoever switches changes a base URL and a key, nothing else: what the SDKs return and which
exceptions they raise is the contract that their programs were written against.
"""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.fakes.answers import CHUNKS, PROMPT_TOKENS, words
from tests.fakes.upstream import RunningUpstream, running
from tests.system.harness import Node

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

TEXT = " ".join(words(CHUNKS))
HELLO: Any = [{"role": "user", "content": "hello"}]
SERVED_S = 10.0


@pytest.fixture(scope="module")
def upstream() -> Iterator[RunningUpstream]:
    with running() as one:
        yield one


@pytest.fixture(scope="module")
def node(upstream: RunningUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One OpenAI-compatible provider, from the settings, and one Anthropic provider."""
    settings = {"DEEPSEEK_API_KEY": "sk-upstream"}
    folder = tmp_path_factory.mktemp("sdks")
    with Node(folder, upstream=upstream.base_url, settings=settings) as one:
        claude = {
            "name": "claude",
            "protocol": "anthropic",
            "base_url": upstream.base_url,
            "secret": "sk-ant-upstream",
            "models": ["claude-fake"],
            "first_byte_ms": 1000,
        }
        one.admin("POST", "/api/providers", claude)
        yield one


@pytest.fixture(scope="module")
def key(node: Node) -> str:
    return make_key(node, daily_limit=None)


def make_key(node: Node, **fields: object) -> str:
    secret: str = node.admin("POST", "/api/keys", fields)["secret"]
    return secret


def openai_of(node: Node, key: str, **options: Any) -> openai.OpenAI:
    options = {"max_retries": 0, "timeout": SERVED_S} | options
    return openai.OpenAI(base_url=f"{node.url}/v1", api_key=key, **options)


def anthropic_of(node: Node, key: str, **options: Any) -> anthropic.Anthropic:
    options = {"max_retries": 0, "timeout": SERVED_S} | options
    return anthropic.Anthropic(base_url=node.url, api_key=key, **options)


def chat(client: openai.OpenAI, behaviour: str = "", **fields: Any) -> Any:
    fields = {"model": "fake-chat", "messages": HELLO} | fields
    headers = {"x-fake-behaviour": behaviour} if behaviour else {}
    return client.chat.completions.create(**fields, extra_headers=headers)


# --- OpenAI ---


def test_a_chat_arrives_whole_with_its_usage(
    node: Node, key: str, upstream: RunningUpstream
) -> None:
    answer = chat(openai_of(node, key))
    assert answer.choices[0].message.content == TEXT
    assert answer.usage.total_tokens == PROMPT_TOKENS + CHUNKS
    assert upstream.stats.count("/v1/chat/completions", "sk-upstream") >= 1
    assert upstream.stats.count("/v1/chat/completions", key) == 0, "a client's key went upstream"


def test_every_answer_carries_a_request_id(node: Node, key: str) -> None:
    """The SDKs show it, and it is what a user quotes when asking for help."""
    assert (
        openai_of(node, key)
        .chat.completions.with_raw_response.create(model="fake-chat", messages=HELLO)
        .headers["x-request-id"]
    )


def test_a_stream_without_include_usage_has_no_usage_chunk(node: Node, key: str) -> None:
    """Usage is asked for upstream to meter it; a client that did not ask must not see it, since
    programs take `chunk.choices[0]` without looking."""
    chunks = list(chat(openai_of(node, key), stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT


def test_a_stream_with_include_usage_ends_with_the_usage_chunk(node: Node, key: str) -> None:
    chunks = list(chat(openai_of(node, key), stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == PROMPT_TOKENS + CHUNKS
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_long_stream_arrives_chunk_by_chunk(node: Node, key: str) -> None:
    chunks = list(chat(openai_of(node, key), "many-chunks-200", stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == " ".join(words(200))


def test_a_deepseek_stream_keeps_its_usage_on_the_last_choice_only_when_asked(
    node: Node, key: str
) -> None:
    """DeepSeek puts usage beside the last choice and sends comments in between."""
    client = openai_of(node, key)
    plain = list(chat(client, model="deepseek-chat", stream=True))
    assert all(chunk.choices for chunk in plain)
    asked = list(
        chat(client, model="deepseek-chat", stream=True, stream_options={"include_usage": True})
    )
    assert asked[-1].choices and asked[-1].usage.total_tokens == PROMPT_TOKENS + CHUNKS


def test_an_answer_is_on_the_books_when_it_has_arrived(node: Node) -> None:
    """Read your own: the usage page shows the request that was just answered."""
    client = openai_of(node, make_key(node, label="books", daily_limit=100))
    chat(client)
    list(chat(client, stream=True))
    rows = node.admin("GET", "/admin/usage")["keys"]
    assert [row["requests"] for row in rows if row["label"] == "books"] == [2]


def test_completions_embeddings_and_models_answer(node: Node, key: str) -> None:
    client = openai_of(node, key)
    assert client.completions.create(model="fake-chat", prompt="once").choices[0].text == TEXT
    events = client.completions.create(model="fake-chat", prompt="once", stream=True)
    assert "".join(one.choices[0].text for one in events).startswith("word0")
    # The SDK asks for base64; the fake answers with floats, which it takes as well.
    made = client.embeddings.create(
        model="fake-embedding", input=["one", "two"], encoding_format="float"
    )
    assert [len(one.embedding) for one in made.data] == [3, 3]
    names = {model.id.rpartition("/")[2] for model in client.models.list()}
    assert {"fake-chat", "deepseek-chat", "claude-fake"} <= names


def test_responses_answer_whole_and_streamed(node: Node, key: str) -> None:
    client = openai_of(node, key)
    answer = client.responses.create(model="fake-chat", input="hello")
    assert answer.output_text == TEXT
    assert answer.usage and answer.usage.total_tokens == PROMPT_TOKENS + CHUNKS
    events = list(client.responses.create(model="fake-chat", input="hello", stream=True))
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == TEXT


@pytest.mark.parametrize(
    ("wrong", "refused"),
    [
        ("roc_" + "0" * 36, "check digits"),
        ("sk-somebody-else", "another shape"),
    ],
)
def test_an_unknown_key_is_an_authentication_error(node: Node, wrong: str, refused: str) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        chat(openai_of(node, wrong))
    assert caught.value.code == "invalid_api_key", refused
    assert wrong not in str(caught.value), "a key was repeated in an error"


def test_an_inactive_key_is_a_permission_error(node: Node) -> None:
    secret = make_key(node, daily_limit=None)
    node.admin("PATCH", f"/admin/keys/{secret}", {"is_active": False})
    with pytest.raises(openai.PermissionDeniedError) as caught:
        chat(openai_of(node, secret))
    assert caught.value.code == "key_inactive"


def test_a_model_that_the_key_may_not_use_is_a_permission_error(node: Node) -> None:
    client = openai_of(node, make_key(node, daily_limit=None, models=["deepseek-*"]))
    assert chat(client, model="deepseek-chat").choices
    with pytest.raises(openai.PermissionDeniedError) as caught:
        chat(client, model="fake-chat")
    assert caught.value.code == "model_not_allowed"


def test_a_used_up_day_is_a_rate_limit_error_that_is_not_retried(
    node: Node, upstream: RunningUpstream
) -> None:
    """Retrying until midnight helps nobody: `x-should-retry: false` stops the SDK at once."""
    client = openai_of(node, make_key(node, daily_limit=2), max_retries=3)
    before = upstream.stats.total
    chat(client)
    chat(client)
    with pytest.raises(openai.RateLimitError) as caught:
        chat(client)
    assert caught.value.code == caught.value.type == "insufficient_quota"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert int(caught.value.response.headers["retry-after"]) > 0
    assert upstream.stats.total == before + 2


def test_a_used_up_minute_is_a_rate_limit_error(node: Node) -> None:
    limits = [{"dimension": "requests", "span": "minute", "amount": 0}]
    client = openai_of(node, make_key(node, daily_limit=None, limits=limits))
    with pytest.raises(openai.RateLimitError) as caught:
        chat(client)
    assert caught.value.code == "rate_limit_exceeded"


def test_a_path_that_is_not_served_is_not_found(node: Node, key: str) -> None:
    with pytest.raises(openai.NotFoundError):
        openai_of(node, key).files.list()


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": "not a list of messages", "model": 7},
        {"stream": "yes"},
    ],
)
def test_a_malformed_request_is_a_bad_request_error(
    node: Node, key: str, fields: dict[str, Any]
) -> None:
    with pytest.raises(openai.BadRequestError):
        chat(openai_of(node, key), **fields)


@pytest.mark.parametrize(
    ("behaviour", "raised", "status"),
    [
        ("fail-400", openai.BadRequestError, 400),
        ("fail-401", openai.AuthenticationError, 401),
        ("fail-403", openai.PermissionDeniedError, 403),
        ("fail-404", openai.NotFoundError, 404),
        ("fail-422", openai.UnprocessableEntityError, 422),
        ("fail-429", openai.RateLimitError, 429),
        ("fail-500", openai.InternalServerError, 500),
        ("fail-503", openai.InternalServerError, 503),
        ("reset", openai.InternalServerError, 502),
        ("garbage-http", openai.InternalServerError, 502),
        ("endless-head", openai.InternalServerError, 502),
    ],
)
def test_an_upstream_failure_raises_what_it_would_without_a_gate(
    node: Node, key: str, behaviour: str, raised: type[openai.APIStatusError], status: int
) -> None:
    """The client sees the upstream's own status, or 502 where there was none."""
    with pytest.raises(raised) as caught:
        chat(openai_of(node, key), behaviour)
    assert caught.value.status_code == status


def test_upstream_failures_cost_the_key_nothing(node: Node) -> None:
    """The operator's trouble is given back; a request that the client got wrong is not."""
    client = openai_of(node, make_key(node, daily_limit=2))
    for behaviour in ("fail-500", "fail-401", "fail-429", "reset"):
        with pytest.raises(openai.APIStatusError):
            chat(client, behaviour)
    with pytest.raises(openai.BadRequestError):
        chat(client, "fail-400")
    assert chat(client).choices
    with pytest.raises(openai.RateLimitError):
        chat(client)


def test_a_client_that_gives_up_raises_its_own_timeout(node: Node, key: str) -> None:
    with pytest.raises(openai.APITimeoutError):
        chat(openai_of(node, key, timeout=0.5), "stall")


def test_a_cut_stream_is_a_broken_connection_and_never_a_quiet_end(node: Node, key: str) -> None:
    """A client that took half an answer for a whole one would act on it."""
    seen = []
    with pytest.raises(Exception) as caught:
        seen.extend(chat(openai_of(node, key), "cut-stream", stream=True))
    assert "peer closed" in str(caught.value) or isinstance(caught.value, openai.APIError)
    assert len(seen) == 3


def test_an_error_inside_a_stream_is_raised(node: Node, key: str) -> None:
    with pytest.raises(openai.APIError, match="asked to answer 500"):
        list(chat(openai_of(node, key), "event-error", stream=True))


@pytest.mark.parametrize("behaviour", ["gzip", "close-delimited", "trailers", "1xx"])
def test_unusual_but_valid_answers_arrive_like_usual_ones(
    node: Node, key: str, behaviour: str
) -> None:
    answer = chat(openai_of(node, key), behaviour)
    assert answer.choices[0].message.content == TEXT
    assert answer.usage.total_tokens == PROMPT_TOKENS + CHUNKS


def test_a_large_answer_arrives_whole(node: Node, key: str) -> None:
    assert len(chat(openai_of(node, key), "big-4").choices[0].message.content) == 4 << 20


async def test_the_async_client_is_served_alike(node: Node, key: str) -> None:
    url = f"{node.url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
        answer = await client.chat.completions.create(model="fake-chat", messages=HELLO)
        assert answer.choices[0].message.content == TEXT
        stream = await client.chat.completions.create(
            model="fake-chat", messages=HELLO, stream=True
        )
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    async with openai.AsyncOpenAI(base_url=url, api_key="sk-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()


# --- Anthropic ---


def test_a_message_arrives_whole_with_its_usage(
    node: Node, key: str, upstream: RunningUpstream
) -> None:
    answer = anthropic_of(node, key).messages.create(
        model="claude-fake", max_tokens=64, messages=HELLO
    )
    assert answer.content[0].type == "text" and answer.content[0].text == TEXT
    assert answer.usage.output_tokens == CHUNKS
    assert upstream.stats.count("/v1/messages", "sk-ant-upstream") >= 1
    assert upstream.stats.count("/v1/messages", key) == 0, "a client's key went upstream"


def test_a_streamed_message_arrives_with_its_final_usage(node: Node, key: str) -> None:
    with anthropic_of(node, key).messages.stream(
        model="claude-fake", max_tokens=64, messages=HELLO
    ) as stream:
        assert "".join(stream.text_stream) == TEXT
        assert stream.get_final_message().usage.output_tokens == CHUNKS


@pytest.mark.parametrize(
    ("behaviour", "raised"),
    [
        ("fail-400", anthropic.BadRequestError),
        ("fail-401", anthropic.AuthenticationError),
        ("fail-403", anthropic.PermissionDeniedError),
        ("fail-404", anthropic.NotFoundError),
        ("fail-429", anthropic.RateLimitError),
        ("fail-500", anthropic.InternalServerError),
        ("fail-529", anthropic.InternalServerError),
        ("reset", anthropic.InternalServerError),
        ("stall", anthropic.InternalServerError),
    ],
)
def test_anthropic_failures_raise_anthropic_errors(
    node: Node, key: str, behaviour: str, raised: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(raised) as caught:
        anthropic_of(node, key).messages.create(
            model="claude-fake",
            max_tokens=64,
            messages=HELLO,
            extra_headers={"x-fake-behaviour": behaviour},
        )
    body = caught.value.body
    assert isinstance(body, dict) and body["type"] == "error", "not in Anthropic's shape"


def test_anthropic_refusals_have_the_right_classes(node: Node) -> None:
    with pytest.raises(anthropic.AuthenticationError):
        anthropic_of(node, "sk-wrong").messages.create(
            model="claude-fake", max_tokens=64, messages=HELLO
        )
    with pytest.raises(anthropic.RateLimitError):
        anthropic_of(node, make_key(node, daily_limit=0)).messages.create(
            model="claude-fake", max_tokens=64, messages=HELLO
        )


async def test_the_async_anthropic_client_is_served_alike(node: Node, key: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=node.url, api_key=key, max_retries=0) as client:
        answer = await client.messages.create(model="claude-fake", max_tokens=64, messages=HELLO)
        assert answer.usage.output_tokens == CHUNKS
        async with client.messages.stream(
            model="claude-fake", max_tokens=64, messages=HELLO
        ) as stream:
            assert "".join([part async for part in stream.text_stream]) == TEXT
