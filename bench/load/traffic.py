"""The requests and answers that are measured: what an official SDK and a provider really send."""

import json

MODEL = "fake-chat"

BODY = json.dumps(
    {
        "model": MODEL,
        "messages": [
            {
                "role": "system",
                "content": "You are the assistant of a small shop that repairs bicycles. Answer in "
                "the language of the question, shortly, and never promise a price or a date.",
            },
            {"role": "user", "content": "My rear wheel wobbles since yesterday. Can I still ride?"},
            {
                "role": "assistant",
                "content": "Better not: a loose axle or broken spokes can lock the wheel. Please "
                "bring it in, we look at it while you wait.",
            },
            {"role": "user", "content": "It is a quick-release axle, how do I see if it's loose?"},
        ],
        "temperature": 0.7,
        "top_p": 1,
        "max_tokens": 512,
        "user": "user-1842",
    },
    separators=(",", ":"),  # as the SDK writes it
)


def request_headers(key: str) -> list[tuple[str, str]]:
    """With Host and Content-Length there are sixteen: those of the OpenAI SDK for Python."""
    return [
        ("Accept", "application/json"),
        ("Accept-Encoding", "gzip, deflate"),
        ("Connection", "keep-alive"),
        ("Content-Type", "application/json"),
        ("User-Agent", "OpenAI/Python 1.99.0"),
        ("X-Stainless-Lang", "python"),
        ("X-Stainless-Package-Version", "1.99.0"),
        ("X-Stainless-OS", "Linux"),
        ("X-Stainless-Arch", "x64"),
        ("X-Stainless-Runtime", "CPython"),
        ("X-Stainless-Runtime-Version", "3.11.9"),
        ("Authorization", f"Bearer {key}"),
        ("X-Stainless-Retry-Count", "0"),
        ("X-Stainless-Read-Timeout", "600"),
    ]


def request_bytes(key: str, body: str = BODY, path: str = "/v1/chat/completions") -> bytes:
    """One request as it stands on the wire."""
    headers = [("Host", "127.0.0.1"), ("Content-Length", str(len(body))), *request_headers(key)]
    assert len(headers) == 16
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n{body}".encode()


def stream_body(chunks: int) -> str:
    fields = json.loads(BODY)
    asked = {"model": f"paced-chunks-{chunks}", "stream": True}
    # Asked for, so that both proxies carry the same events: Tallygate would else take one out.
    return json.dumps(
        {**fields, **asked, "stream_options": {"include_usage": True}}, separators=(",", ":")
    )


ANSWER = (
    '{"id":"chatcmpl-9nKp2VqTj3yWlM0cRzXs","object":"chat.completion","created":1732147200,'
    '"model":"fake-chat","choices":[{"index":0,"message":{"role":"assistant","content":'
    '"Lift the wheel and push it sideways: any play means loose."},"logprobs":null,'
    '"finish_reason":"stop"}],"usage":{"prompt_tokens":118,"completion_tokens":14,'
    '"total_tokens":132,"prompt_tokens_details":{"cached_tokens":0}},"system_fingerprint":'
    '"fp_44709d6fcb"}'
)
ANSWER += " " * (430 - len(ANSWER))

# With Server, Date, Content-Type, Content-Length and Connection there are fourteen.
ANSWER_HEADERS = [
    ("openai-organization", "fake"),
    ("openai-processing-ms", "212"),
    ("openai-version", "2020-10-01"),
    ("x-request-id", "req_6f1c2d8e9b7a4f05"),
    ("x-envoy-upstream-service-time", "215"),
    ("strict-transport-security", "max-age=31536000"),
    ("x-content-type-options", "nosniff"),
    ("cf-cache-status", "DYNAMIC"),
    ("alt-svc", "h3"),
]
