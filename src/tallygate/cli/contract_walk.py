"""The contract of the quota proxy as a walk: each step is one call and what its answer must be.

Nothing but the throw-away key is touched, so the reset of usage is only asked for with a day that
is refused.
"""

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

TIMEOUT_S = 60.0
REVOKED_WITHIN_S = 1.0
LABEL = "tallygate verify (throw-away)"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any  # decoded JSON, of whatever shape the server chose

    def __getitem__(self, name: str) -> Any:
        return self.body.get(name) if isinstance(self.body, dict) else None


class Unmet(Exception):
    """What the contract says and what came instead."""


@dataclass(slots=True)
class Walk:
    """What the steps share: the server, the tokens, and the key they made."""

    url: str
    admin_token: str
    model: str = ""
    key: str = ""
    made: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Walk {self.url}>"

    def call(
        self, method: str, path: str, body: object = None, *, admin: bool = False, key: bool = False
    ) -> Answer:
        headers = {"accept": "application/json"}
        if admin:
            headers["authorization"] = f"Bearer {self.admin_token}"
        if key:
            headers["authorization"] = f"Bearer {self.key}"
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["content-type"] = "application/json"
        return _send(self.url, method, path, content, headers)

    def chat(self) -> Answer:
        message = {"role": "user", "content": "Say ok."}
        body = {"model": self.model, "messages": [message], "max_tokens": 1}
        return self.call("POST", "/v1/chat/completions", body, key=True)

    @property
    def path(self) -> str:
        return f"/admin/keys/{quote(self.key, safe='')}"


def is_healthy(walk: Walk) -> None:
    _expect(walk.call("GET", "/healthz"), 200, {"ok": True})


def is_ready(walk: Walk) -> None:
    _expect(walk.call("GET", "/readyz"), 200)


def admin_needs_the_token(walk: Walk) -> None:
    _expect(walk.call("GET", "/admin/keys"), 401)


def a_bad_limit_is_refused(walk: Walk) -> None:
    answer = walk.call("POST", "/admin/keys", {"label": LABEL, "daily_limit": -1}, admin=True)
    _expect(answer, 400)


def an_unknown_field_is_refused(walk: Walk) -> None:
    _expect(walk.call("POST", "/admin/keys", {"no_such_field": 1}, admin=True), 400)


def a_key_is_made(walk: Walk) -> None:
    answer = walk.call("POST", "/admin/keys", {"label": LABEL, "daily_limit": 1}, admin=True)
    if isinstance(answer.body, dict):
        walk.key, walk.made = str(answer["key"] or ""), answer.body
    _expect(answer, 200)
    missing = {"key", "label", "created_at", "daily_limit"} - walk.made.keys()
    if missing or walk.made["daily_limit"] != 1 or walk.made["label"] != LABEL:
        raise Unmet(f"the answer should hold key, label, created_at, daily_limit: {answer.body}")


def the_key_is_listed(walk: Walk) -> None:
    answer = walk.call("GET", "/admin/keys", admin=True)
    _expect(answer, 200)
    created_at = walk.made["created_at"]
    if not any(one.get("created_at") == created_at for one in answer.body):
        raise Unmet("the new key is not in the list")


def models_are_listed(walk: Walk) -> None:
    answer = walk.call("GET", "/v1/models", key=True)
    _expect(answer, 200)
    models = [str(one.get("id")) for one in answer["data"] or []]
    if not walk.model:
        if not models:
            raise Unmet("no model is listed: name one with --model")
        walk.model = models[0]


def a_chat_is_answered(walk: Walk) -> None:
    answer = walk.chat()
    _expect(answer, 200)
    if not answer["choices"]:
        raise Unmet("the answer has no choices")


def the_next_is_over_the_limit(walk: Walk) -> None:
    answer = walk.chat()
    _expect(answer, 429)
    if "retry-after" not in answer.headers:
        raise Unmet("429 came without Retry-After")


def the_use_is_counted(walk: Walk) -> None:
    answer = walk.call("GET", "/admin/usage", admin=True)
    _expect(answer, 200)
    created_at = walk.made["created_at"]
    ours = [one for one in answer["keys"] or [] if one.get("created_at") == created_at]
    if [one.get("requests") for one in ours] != [1]:
        raise Unmet(f"exactly one request should be counted for the key, not {ours}")


def a_bad_day_is_refused(walk: Walk) -> None:
    _expect(walk.call("POST", "/admin/usage/reset", {"day": "2026-02-30"}, admin=True), 400)


def an_inactive_key_is_refused(walk: Walk) -> None:
    _expect(walk.call("PATCH", walk.path, {"is_active": 0}, admin=True), 200)
    _soon(walk.chat, 403)


def the_key_is_deleted(walk: Walk) -> None:
    _expect(walk.call("DELETE", walk.path, admin=True), 200)


def a_deleted_key_is_unknown(walk: Walk) -> None:
    _soon(walk.chat, 401)
    _expect(walk.call("DELETE", walk.path, admin=True), 404)


STEPS: tuple[tuple[str, Callable[[Walk], None]], ...] = (
    ("GET /healthz answers", is_healthy),
    ("GET /readyz: store and journal are usable", is_ready),
    ("GET /admin/keys without the admin token is 401", admin_needs_the_token),
    ("POST /admin/keys with a negative limit is 400", a_bad_limit_is_refused),
    ("POST /admin/keys with an unknown field is 400", an_unknown_field_is_refused),
    ("POST /admin/keys makes a key for one request a day", a_key_is_made),
    ("GET /admin/keys lists it", the_key_is_listed),
    ("GET /v1/models answers the key", models_are_listed),
    ("POST /v1/chat/completions answers the key", a_chat_is_answered),
    ("a second one is 429 with Retry-After", the_next_is_over_the_limit),
    ("GET /admin/usage counts one request", the_use_is_counted),
    ("POST /admin/usage/reset with a day that is none is 400", a_bad_day_is_refused),
    ("PATCH is_active 0: the key is 403 within a second", an_inactive_key_is_refused),
    ("DELETE the key", the_key_is_deleted),
    ("the key is 401 within a second, deleting it again 404", a_deleted_key_is_unknown),
)


def _expect(answer: Answer, status: int, body: object = None) -> None:
    if answer.status != status:
        raise Unmet(f"{status} was expected, {answer.status} came: {str(answer.body)[:300]}")
    if body is not None and answer.body != body:
        raise Unmet(f"{body} was expected, {str(answer.body)[:300]} came")


def _soon(call: Callable[[], Answer], status: int) -> None:
    """A change is obeyed everywhere within a second."""
    deadline = time.monotonic() + REVOKED_WITHIN_S
    answer = call()
    while answer.status != status and time.monotonic() < deadline:
        time.sleep(0.05)
        answer = call()
    _expect(answer, status)


def _send(
    url: str, method: str, path: str, content: bytes | None, headers: dict[str, str]
) -> Answer:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.request(method, parts.path.rstrip("/") + path, content, headers)
        response = connection.getresponse()
        received = response.read()
    finally:
        connection.close()
    names = {name.lower(): value for name, value in response.getheaders()}
    try:
        body = msgspec.json.decode(received) if received else None
    except msgspec.DecodeError:
        body = received.decode("utf-8", "replace")
    return Answer(response.status, names, body)
