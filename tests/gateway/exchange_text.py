"""Requests and answers as bytes: what tests of the gateway send, and a strict reader of answers."""

import json
from dataclasses import dataclass
from typing import Any

MESSAGES = [{"role": "user", "content": "hello"}]
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


@dataclass
class Answer:
    """One whole answer, and how many bytes it took."""

    status: int
    headers: dict[str, str]
    body: bytes
    length: int
    is_cut: bool = False  # the connection ended before the body did

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


class Incomplete(AssertionError):
    """There is no whole answer (yet)."""


def read_answer(data: bytes, *, is_head: bool = False, is_over: bool = False) -> Answer:
    """The answer at the beginning of `data`; `is_over`: no more will come."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        raise Incomplete(f"no whole head in {data[:200]!r}")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    headers = {name.lower(): value for name, value in pairs}
    assert len(headers) == len(pairs) or _repeats(pairs) <= {"set-cookie"}, f"twice: {lines}"
    status, begin = int(first.split(" ")[1]), len(head) + 4
    if is_head or status in (204, 304):
        return Answer(status, headers, b"", begin)
    if headers.get("transfer-encoding") == "chunked":
        assert "content-length" not in headers
        body, used, is_cut = _dechunked(rest, is_over=is_over)
        return Answer(status, headers, body, begin + used, is_cut)
    if "content-length" in headers:
        length = int(headers["content-length"])
        if len(rest) < length and not is_over:
            raise Incomplete(f"{len(rest)} of {length} bytes")
        return Answer(status, headers, rest[:length], begin + length, len(rest) < length)
    if not is_over:
        raise Incomplete("the body ends with the connection, which is open")
    return Answer(status, headers, rest, len(data))


def _repeats(pairs: list[list[str]]) -> set[str]:
    names = [name.lower() for name, _ in pairs]
    return {name for name in names if names.count(name) > 1}


def _dechunked(data: bytes, *, is_over: bool) -> tuple[bytes, int, bool]:
    body, place = b"", 0
    while True:
        size, end, _ = data[place:].partition(b"\r\n")
        if not end:
            if is_over:
                return body, len(data), True
            raise Incomplete("the last chunk has not come")
        length = int(size, 16)
        place += len(size) + 2
        if length == 0:
            assert data[place : place + 2] == b"\r\n", "no trailers"
            return body, place + 2, False
        body += data[place : place + length]
        assert is_over or data[place + length : place + length + 2] == b"\r\n"
        place += length + 2


def request(
    method: str = "POST",
    path: str = "/v1/chat/completions",
    body: bytes = b"",
    *,
    key: str = "k",
    http: str = "1.1",
    **headers: str,
) -> bytes:
    """A whole request; `_` in the name of a header stands for `-`, "" leaves it out."""
    fields = {"host": "gate.test", "authorization": f"Bearer {key}" if key else ""}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    if body or method == "POST":
        fields["content-length"] = str(len(body))
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    head = "\r\n".join([f"{method} {path} HTTP/{http}", *lines])
    return head.encode() + b"\r\n\r\n" + body


def chat(*, body: Any = None, model: str = "m", more: Any = None, **headers: Any) -> bytes:
    """A chat call."""
    if body is None:
        body = {"model": model, "messages": MESSAGES} | (more or {})
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return request(body=body, **headers)


def reply(
    status: int = 200,
    body: bytes | None = None,
    *,
    kind: str = "application/json",
    usage: Any = USAGE,
    **headers: str,
) -> bytes:
    """An upstream's whole answer, by default a chat's."""
    if body is None:
        body = json.dumps({"object": "chat.completion", "usage": usage}).encode()
    fields = {"content-type": kind, "content-length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 {status} Fine\r\n{lines}\r\n".encode() + body


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def named_event(name: str, value: Any) -> bytes:
    return b"event: " + name.encode() + b"\n" + event(value)


def word(text: str = "word", **more: Any) -> bytes:
    return event({"id": "c", "choices": [{"index": 0, "delta": {"content": text}}]} | more)


USAGE_CHUNK = event({"id": "c", "choices": [], "usage": USAGE})
DONE = b"data: [DONE]\n\n"
STREAM_HEAD = reply(
    body=b"", kind="text/event-stream", content_length="", transfer_encoding="chunked"
)


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


LAST_CHUNK = b"0\r\n\r\n"
