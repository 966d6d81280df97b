"""Calls that another site's page makes a browser send: none of them changes anything.

The calls are read from contract/openapi.json, so that a new one is asked without a line here.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from tallygate.control.parts import Parts
from tallygate.control.roles import Need, changes_something, need_of
from tallygate.core.account_commands import TouchSession
from tallygate.core.commands import Inspect, Settle
from tests.control.clerk import StoreClerk
from tests.control.test_roles import everybody
from tests.tidy.source import ROOT

pytestmark = pytest.mark.anyio

DOCUMENT = json.loads((ROOT / "contract" / "openapi.json").read_text("utf-8"))
ELSEWHERE = "https://evil.example.com"
# What pages of other sites can make a browser say; a form says a type that needs no preflight.
FORGED: tuple[dict[str, str], ...] = (
    {"origin": ELSEWHERE, "sec-fetch-site": "cross-site", "content-type": "text/plain"},
    {"origin": ELSEWHERE, "content-type": "application/x-www-form-urlencoded"},
    {"origin": "null", "content-type": "multipart/form-data; boundary=x"},
    {"sec-fetch-site": "same-site", "content-type": "application/json"},
)
# These need no other site: a page of ours is made to send a call without its token.
WITHOUT_TOKEN: tuple[dict[str, str], ...] = (
    {"content-type": "text/plain"},
    {"x-csrf-token": ""},
    {"x-csrf-token": "wrong"},
    {"x-csrf-token": "wrong", "origin": "http://gate", "sec-fetch-site": "same-origin"},
)
# Commands that answer a question: nothing is changed by them that anybody could see.
LOOKING = (Inspect, Settle, TouchSession)


def calls() -> Iterator[tuple[str, str]]:
    """Every call of the contract; what its path names exists, where 1 or `member` names it."""
    for path, methods in DOCUMENT["paths"].items():
        for method in methods:
            if method in ("get", "post", "put", "patch", "delete"):
                yield method.upper(), path


def filled(path: str) -> str:
    named = {"user_id": "member", "id": "member" if "/users/" in path else "1"}
    for part in [one[1:-1] for one in path.split("/") if one.startswith("{")]:
        path = path.replace("{" + part + "}", named.get(part, "1"))
    return path


CHANGING = [one for one in calls() if changes_something(one[0])]


def a_body_for(path: str) -> str:
    """What does something where it is let in: a forger knows this document, too."""
    bodies: dict[str, dict[str, Any]] = {
        "/api/users/{user_id}/wallet/top-up": {"points": 1000},
        "/api/teams": {"name": "forged"},
        "/api/session": {"id": "admin", "password": "correct horse battery"},
    }
    return json.dumps(bodies.get(path, {}))


async def refused(client: httpx.AsyncClient, method: str, path: str, sent: dict[str, str]) -> bool:
    answer = await client.request(method, filled(path), content=a_body_for(path), headers=sent)
    assert "access-control-allow-origin" not in answer.headers
    return answer.status_code == 403 and "set-cookie" not in answer.headers


async def test_no_changing_call_is_taken_from_another_sites_page(
    parts: Parts, clerk: StoreClerk
) -> None:
    """With the cookie of an admin, who may do all of it, and with the right token besides."""
    assert len(CHANGING) > 60
    async with everybody(parts, clerk) as doors:
        victim = doors.clients["admin"]
        seen = len(clerk.seen)
        taken = [
            (method, path, sent)
            for method, path in CHANGING
            for sent in FORGED
            if not await refused(victim, method, path, sent)
        ]
        assert taken == []
        assert len(clerk.seen) == seen
        assert (await victim.get("/api/session")).status_code == 200  # not signed out, either


async def test_no_changing_call_is_taken_without_the_token_of_its_session(
    parts: Parts, clerk: StoreClerk
) -> None:
    """Whatever a browser fails to say about where a call came from."""
    guarded = [one for one in CHANGING if need_of(*one) is not Need.OPEN]
    assert [one for one in CHANGING if one not in guarded] == [("POST", "/api/session")]
    async with everybody(parts, clerk) as doors:
        victim = doors.clients["admin"]
        token = victim.headers.pop("x-csrf-token")
        seen = len(clerk.seen)
        taken = [
            (method, path, sent)
            for method, path in guarded
            for sent in WITHOUT_TOKEN
            if not await refused(victim, method, path, sent)
        ]
        assert taken == []
        assert len(clerk.seen) == seen
        # The same calls with it are heard: it was the token that was missing.
        victim.headers["x-csrf-token"] = token
        guarded.sort(key=lambda one: one[1] == "/api/session")  # signing out comes last
        unheard = [one for one in guarded if await refused(victim, *one, {})]
        assert unheard == []
        assert len(clerk.seen) > seen


async def test_what_only_looks_changes_nothing(parts: Parts, clerk: StoreClerk) -> None:
    """A link or an image of another site's page is a GET with the cookie, and is answered."""
    async with everybody(parts, clerk) as doors:
        victim = doors.clients["admin"]
        seen = len(clerk.seen)
        for method, path in calls():
            if changes_something(method):
                continue
            forged = {"origin": ELSEWHERE, "x-http-method-override": "DELETE"}
            answer = await victim.get(filled(path), params={"_method": "DELETE"}, headers=forged)
            assert "access-control-allow-origin" not in answer.headers, path
        changed = [one for one, _ in clerk.seen[seen:] if not isinstance(one, LOOKING)]
        assert changed == []
