"""Every route × every kind of caller: a route without a rule, or with a wrong one, is found."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx2 as httpx
import pytest
from fastapi.routing import iter_route_contexts
from starlette.types import ASGIApp, Message, Scope

from tallygate.control import application
from tallygate.control.callers import ADMIN, NOBODY, Caller, Kind
from tallygate.control.parts import Parts
from tallygate.control.roles import PAGES, RULES, UNGUARDED, Need, may, need_of
from tallygate.core.account_commands import CreateOwnKey, CreateUser
from tallygate.core.accounts import Role
from tallygate.core.errors import Code, Refusal
from tallygate.core.ports import Actor
from tallygate.docs.roles import page
from tests.control.clerk import StoreClerk
from tests.control.conftest import ADMIN_TOKEN, connect
from tests.tidy.source import ROOT

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"
ACTOR = Actor("test", "", "")
CALLERS = ("stranger", "token", "key", *(role.value for role in Role))


def routes_of(parts: Parts) -> Iterator[tuple[str, str]]:
    """What is served, as method and declared path."""
    for served in iter_route_contexts(application.build_bare(parts).routes):
        assert served.path is not None and served.methods
        for method in sorted(served.methods):
            yield method, served.path


def is_unguarded(path: str) -> bool:
    return path in PAGES or any(path == one or path.startswith(f"{one}/") for one in UNGUARDED)


async def test_every_route_has_a_rule_and_every_rule_a_reason(parts: Parts) -> None:
    """A call that nobody has thought about would otherwise be open, or of use to nobody."""
    served = [(method, path) for method, path in routes_of(parts) if not is_unguarded(path)]
    assert len(served) > 40
    assert [one for one in served if need_of(*one) is None] == []


def test_rules_hold_for_whole_segments_and_the_longest_counts() -> None:
    assert need_of("GET", "/api/users/{id}") is Need.READ
    assert need_of("GET", "/api/userss") is None
    assert need_of("GET", "/api/user/points/balance") is Need.SELF
    assert need_of("POST", "/api/user/keys") is Need.SIGNED_IN
    assert need_of("POST", "/api/session") is Need.OPEN
    assert need_of("DELETE", "/api/session") is Need.SIGNED_IN
    assert need_of("GET", "/nothing") is None
    assert len({rule.path for rule in RULES}) == len(RULES)


def test_what_nobody_has_decided_is_for_the_admin_token_only() -> None:
    boss = Caller("user:boss", Role.ADMIN, Kind.SESSION, "boss")
    assert may(ADMIN, None)
    assert not may(boss, None) and not may(NOBODY, None)


def test_the_page_about_roles_says_what_the_table_says() -> None:
    assert (ROOT / "docs" / "reference" / "roles.md").read_text("utf-8") == page()


class Doors:
    """One client of each kind, and the answers they get."""

    def __init__(self, served: ASGIApp, clients: dict[str, httpx.AsyncClient]) -> None:
        self._application = served
        self.clients = clients

    async def status(self, kind: str, method: str, path: str) -> int:
        """What the answer begins with; some never end, so nobody waits for that."""
        client = self.clients[kind]
        asked = client.build_request(method, re.sub(r"\{.*?\}", "7", path))
        begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start" and not begun.done():
                begun.set_result(message["status"])

        bodies: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Message:
            if not bodies:
                await asyncio.Event().wait()  # the client stays
            return bodies.pop()

        answering = asyncio.ensure_future(self._application(_scope(asked), receive, send))
        await asyncio.wait([answering, begun], return_when=asyncio.FIRST_COMPLETED)
        answering.cancel()
        await asyncio.wait([answering])
        return begun.result()


@asynccontextmanager
async def everybody(parts: Parts, clerk: StoreClerk) -> AsyncIterator[Doors]:
    clients = {
        "stranger": connect(parts),
        "token": connect(parts, **{"X-Admin-Token": ADMIN_TOKEN}),
    }
    for role in Role:
        hash_ = await parts.sign_in.passwords.hash(PASSWORD)
        change = CreateUser(id=role.value, role=role.value, password_hash=hash_)
        await clerk.command(change, ACTOR)
        client = clients[role.value] = connect(parts)
        signed_in = await client.post("/api/session", json={"id": role.value, "password": PASSWORD})
        client.headers["x-csrf-token"] = signed_in.json()["csrf_token"]
    key = await clerk.command(CreateOwnKey(account_id="member"), ACTOR)
    clients["key"] = connect(parts, **{"X-API-Key": key["secret"]})
    try:
        yield Doors(application.build(parts), clients)
    finally:
        for client in clients.values():
            await client.aclose()


def _scope(asked: httpx.Request) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": asked.url.path,
        "raw_path": asked.url.raw_path,
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in asked.headers.raw],
        "server": ("gate", 80),
        "client": ("127.0.0.1", 1),
        "state": {},
    }


def expected(kind: str, need: Need | None) -> int:
    """What the door says; 0 stands for whatever the call itself answers."""
    if need in (Need.OPEN, Need.OWN) or kind == "token":
        return 0
    if kind == "stranger":
        return 401
    if kind == "key":
        return 0 if need is Need.SELF else 403
    caller = Caller(kind, Role(kind), Kind.SESSION, kind)
    return 0 if may(caller, need) else 403


async def test_every_caller_gets_from_every_route_what_the_table_says(
    parts: Parts, clerk: StoreClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cell is asked for real: the table, the door and the routes must agree."""
    wrong = []
    async with everybody(parts, clerk) as doors:

        async def refuse(*_: object) -> None:
            raise Refusal(Code.CONFLICT, "nothing is changed in this test")

        monkeypatch.setattr(clerk, "command", refuse)
        for method, path in routes_of(parts):
            if is_unguarded(path):
                continue
            need = need_of(method, path)
            for kind in CALLERS:
                status = await doors.status(kind, method, path)
                should_be = expected(kind, need)
                is_past_the_door = status not in (401, 403, 500) or (
                    need in (Need.OPEN, Need.OWN) and status != 500
                )
                if (should_be == 0 and not is_past_the_door) or should_be not in (0, status):
                    wrong.append((kind, method, path, status, should_be))
    assert wrong == []


async def test_viewers_look_operators_work_and_members_see_themselves(
    parts: Parts, clerk: StoreClerk
) -> None:
    """The cells that matter most, written by hand: a table that is wrong is wrong in both tests."""
    cells = [
        ("viewer", "GET", "/api/users", 200),
        ("viewer", "POST", "/api/users", 403),
        ("viewer", "GET", "/admin/keys", 403),
        ("viewer", "GET", "/api/audit", 200),
        ("operator", "POST", "/api/users", 201),
        ("operator", "GET", "/admin/keys", 200),
        ("operator", "POST", "/api/providers", 403),
        ("operator", "DELETE", "/api/providers/a", 403),
        ("member", "GET", "/api/users", 403),
        ("member", "GET", "/api/audit", 403),
        ("member", "GET", "/metrics", 403),
        ("member", "GET", "/api/user", 200),
        ("member", "GET", "/api/user/keys", 200),
        ("key", "GET", "/api/user", 200),
        ("key", "GET", "/api/user/keys", 403),
        ("key", "POST", "/api/user/keys", 403),
        ("key", "GET", "/api/users", 403),
        ("admin", "POST", "/api/users", 201),
        ("stranger", "GET", "/api/session/methods", 200),
        ("stranger", "GET", "/api/session", 401),
    ]
    async with everybody(parts, clerk) as doors:
        found = [await doors.status(kind, method, path) for kind, method, path, _ in cells]
    assert found == [cell[3] for cell in cells]


async def test_an_operator_changes_a_provider_but_not_where_its_secret_goes(
    parts: Parts, clerk: StoreClerk
) -> None:
    """With another address the next request would carry the secret there."""
    url = "https://api.example.com/v1"
    async with everybody(parts, clerk) as doors:
        made = await doors.clients["admin"].post(
            "/api/providers", json={"name": "one", "base_url": url, "secret": "s"}
        )
        assert made.status_code == 201
        operator = doors.clients["operator"]
        for body in (
            {"secret": "t"},
            {"base_url": "https://evil.example.com"},
            {"protocol": "openai"},
        ):
            answer = await operator.patch("/api/providers/one", json=body)
            assert answer.status_code == 403, body
        changed = await operator.patch("/api/providers/one", json={"weight": 2})
        assert (changed.status_code, changed.json()["base_url"]) == (200, url)
