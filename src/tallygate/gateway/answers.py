"""Answers that the gateway writes itself: refusals in the shape of the API that was called, and the
fields it adds to every answer.
"""

import enum
import functools
import http

import msgspec

from tallygate.core.errors import Code, Refusal


class Shape(enum.Enum):
    """Whose error format a path answers in."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    DIFY = "dify"
    OWN = "own"
    WEBHOOK = "webhook"


# Where neither says anything else of it: the client's fault below 500, a server's from there on.
_OPENAI_TYPES = {403: "permission_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
# Dify's own names, where it has one; its 429 is `rate_limit_error` when a later try is no use.
_DIFY_CODES = {
    Code.BAD_REQUEST: "invalid_param",
    Code.INVALID_API_KEY: "unauthorized",
    Code.INSUFFICIENT_QUOTA: "rate_limit_error",
    Code.RATE_LIMIT_EXCEEDED: "too_many_requests",
}
_NEVER_RETRY = frozenset((Code.INSUFFICIENT_QUOTA, Code.REQUEST_RUNNING, Code.IDEMPOTENCY_CONFLICT))


@functools.cache
def status_line(status: int) -> bytes:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


def error_body(shape: Shape, refusal: Refusal, status: int, request_id: str) -> bytes:
    code, message = refusal.code.value, refusal.message
    if shape is Shape.ANTHROPIC:
        other = "invalid_request_error" if status < 500 else "api_error"
        kind = _ANTHROPIC_TYPES.get(status, other)
        detail = {"type": kind, "message": message, "code": code}
        return msgspec.json.encode({"type": "error", "error": detail, "request_id": request_id})
    if shape is Shape.OPENAI:
        other = "invalid_request_error" if status < 500 else "server_error"
        kind = _OPENAI_TYPES.get(status, other)
        if refusal.code is Code.INSUFFICIENT_QUOTA:
            kind = "insufficient_quota"
        return msgspec.json.encode(
            {
                "error": {
                    "message": message,
                    "type": kind,
                    "param": refusal.param,
                    "code": code,
                    "request_id": request_id,
                }
            }
        )
    if shape is Shape.DIFY:
        named = _DIFY_CODES.get(refusal.code, code)
        return msgspec.json.encode({"code": named, "message": message, "status": status})
    detail = {"code": code, "message": message, "request_id": request_id}
    if shape is Shape.WEBHOOK:
        return msgspec.json.encode({"success": False, "message": message, "error": detail})
    return msgspec.json.encode({"error": detail})


def refusal_answer(
    shape: Shape,
    refusal: Refusal,
    *,
    request_id: str,
    status: int = 0,
    retry_after_s: int | None = None,
    fields: bytes = b"",
    will_close: bool = False,
    is_head: bool = False,
) -> bytes:
    """A whole answer that says no. `fields` are further header lines, each with its end."""
    status = status or refusal.status
    body = error_body(shape, refusal, status, request_id)
    lines = [
        status_line(status),
        b"content-type: application/json\r\n",
        b"x-request-id: %s\r\n" % request_id.encode(),
        fields,
    ]
    if retry_after_s is not None:
        lines.append(b"retry-after: %d\r\n" % max(1, retry_after_s))
    if refusal.allow:
        lines.append(b"allow: %s\r\n" % refusal.allow.encode())
    if refusal.code in _NEVER_RETRY:
        lines.append(b"x-should-retry: false\r\n")
    if status == 401 and shape is not Shape.OWN:
        lines.append(b"www-authenticate: Bearer\r\n")
    if will_close:
        lines.append(b"connection: close\r\n")
    lines.append(b"content-length: %d\r\n\r\n" % len(body))
    if not is_head:
        lines.append(body)
    return b"".join(lines)


def json_answer(
    value: object,
    *,
    request_id: str,
    status: int = 200,
    will_close: bool = False,
    is_head: bool = False,
) -> bytes:
    """A whole answer with a JSON body."""
    body = msgspec.json.encode(value)
    return (
        b"%scontent-type: application/json\r\nx-request-id: %s\r\n%scontent-length: %d\r\n\r\n%s"
        % (
            status_line(status),
            request_id.encode(),
            b"connection: close\r\n" if will_close else b"",
            len(body),
            b"" if is_head else body,
        )
    )


LONGEST_S = 100 * 365 * 86_400  # what never resets says so by a century


@functools.lru_cache(maxsize=4096)
@functools.lru_cache(maxsize=4096)  # each answer says two, and all of a second say the same
def duration(seconds: int) -> bytes:
    """A span of time as OpenAI writes it: 1s, 6m0s, 23h59m59s."""
    seconds = min(max(0, seconds), LONGEST_S)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return b"%dh%dm%ds" % (hours, minutes, seconds)
    if minutes:
        return b"%dm%ds" % (minutes, seconds)
    return b"%ds" % seconds
