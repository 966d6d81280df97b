"""Signing in by password: cookies, forged calls, guesses, and every way in which a session ends."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2 as httpx
import pytest

from tallygate.control.cookies import COOKIE, hash_of
from tallygate.control.parts import Parts
from tallygate.control.passwords import WAITING_MAX, Cost, Passwords, salt_source
from tallygate.control.people import SEEN_EVERY_MS
from tallygate.core.account_commands import CreateUser, PatchUser, TouchSession
from tallygate.core.errors import Refusal, StoreUnavailable
from tallygate.core.ports import Actor
from tallygate.store import sessions
from tallygate.store.database import Database
from tests.control.clerk import StoreClerk
from tests.control.conftest import ADMIN_TOKEN, Clock, connect

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"
ACTOR = Actor("test", "", "")


@pytest.fixture
async def browser(parts: Parts, clerk: StoreClerk) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, and an account to sign in to."""
    hash_ = await parts.sign_in.passwords.hash(PASSWORD)
    await clerk.command(
        CreateUser(id="ann", name="Ann", email="ann@example.com", password_hash=hash_), ACTOR
    )
    async with connect(parts) as client:
        yield client


async def sign_in(client: httpx.AsyncClient, **body: str) -> httpx.Response:
    return await client.post("/api/session", json={"id": "ann", "password": PASSWORD} | body)


async def signed_in(client: httpx.AsyncClient) -> httpx.AsyncClient:
    client.headers["x-csrf-token"] = (await sign_in(client)).json()["csrf_token"]
    return client


async def test_whoever_signs_in_is_known_by_a_cookie_no_script_can_read(
    browser: httpx.AsyncClient, clerk: StoreClerk
) -> None:
    answer = await sign_in(browser)
    shown = answer.json()
    assert answer.status_code == 201
    token = shown.pop("csrf_token")
    person = {"id": "ann", "name": "Ann", "email": "ann@example.com", "role": "member"}
    assert shown == {**person, "language": None}
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie
    assert "Secure" not in cookie
    assert (await browser.get("/api/session")).json() == {**shown, "csrf_token": token}
    opened, actor = clerk.seen[-1]
    assert opened.NAME == "session.open" and actor.name == "user:ann"
    assert browser.cookies[COOKIE] not in repr(opened)


async def test_an_address_signs_in_however_it_is_written(browser: httpx.AsyncClient) -> None:
    for body in ({"email": "Ann@Example.COM"}, {"email": "ann@example.com"}):
        answer = await browser.post("/api/session", json=body | {"password": PASSWORD})
        assert answer.status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {"password": PASSWORD},
        {"id": "ann", "email": "ann@example.com", "password": PASSWORD},
        {"id": "ann"},
        {"id": "ann", "password": "x" * 1025},
        {"id": "ann", "password": PASSWORD, "remember": True},
    ],
)
async def test_a_sign_in_that_is_not_clear_is_refused(
    browser: httpx.AsyncClient, body: dict
) -> None:
    assert (await browser.post("/api/session", json=body)).status_code == 400


async def test_a_wrong_password_and_an_unknown_name_look_alike(
    browser: httpx.AsyncClient, parts: Parts, clerk: StoreClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the login page is a list of who has an account; the work done is the same, too."""
    await clerk.command(CreateUser(id="no-password"), ACTOR)
    verified: list[str] = []
    work = Passwords._work

    async def noted(self, function):  # type: ignore[no-untyped-def]  # a spy
        verified.append("one")
        return await work(self, function)

    monkeypatch.setattr(Passwords, "_work", noted)
    await sign_in(browser, password="warms up")
    answers = []
    for body in (
        {"id": "ann", "password": "wrong password"},
        {"id": "nobody", "password": PASSWORD},
        {"email": "nobody@example.com", "password": PASSWORD},
        {"id": "no-password", "password": ""},
    ):
        verified.clear()
        answer = await browser.post("/api/session", json=body)
        answers.append((answer.status_code, answer.json()["error"]["message"], len(verified)))
    assert answers == [(401, "the name or the password is wrong", 1)] * 4
    assert "set-cookie" not in answer.headers


async def test_only_a_whole_cookie_opens_and_a_header_decides_before_it(
    browser: httpx.AsyncClient, parts: Parts
) -> None:
    await signed_in(browser)
    secret = browser.cookies[COOKIE]
    assert (await browser.get("/api/user")).status_code == 200
    assert (await browser.get("/api/user", headers={"X-Admin-Token": "no"})).status_code == 401
    async with connect(parts) as other:
        for cookie in (secret[:-1], secret + "A", "", hash_of(secret).hex(), '"'):
            answer = await other.get("/api/user", headers={"cookie": f"{COOKIE}={cookie}"})
            assert answer.status_code == 401, cookie


async def test_a_forged_call_changes_nothing(browser: httpx.AsyncClient, clerk: StoreClerk) -> None:
    """Another site's page sends the cookie along, but cannot know the token."""
    await signed_in(browser)
    seen = len(clerk.seen)
    token = browser.headers["x-csrf-token"]
    for headers in (
        {"x-csrf-token": ""},
        {"x-csrf-token": token[:-1] + ("A" if token[-1] != "A" else "B")},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example.com"},
        {"origin": "null"},
    ):
        answer = await browser.post("/api/user/keys", json={}, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), headers
    assert len(clerk.seen) == seen
    for headers in (
        {"sec-fetch-site": "same-origin", "origin": "https://seen-through-a-proxy.example.com"},
        {"origin": "http://gate"},
        {},
    ):
        answer = await browser.post("/api/user/keys", json={}, headers=headers)
        assert answer.status_code == 201, headers


async def test_a_token_of_one_session_is_none_of_another(browser: httpx.AsyncClient) -> None:
    first = (await sign_in(browser)).json()["csrf_token"]
    second = (await sign_in(browser)).json()["csrf_token"]
    assert first != second
    answer = await browser.post("/api/user/keys", json={}, headers={"x-csrf-token": first})
    assert answer.status_code == 403


async def test_nobody_is_signed_in_by_another_sites_form(browser: httpx.AsyncClient) -> None:
    """Signed in as the attacker, a victim would store their keys and work in that account."""
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example.com"}):
        answer = await browser.post(
            "/api/session", json={"id": "ann", "password": PASSWORD}, headers=headers
        )
        assert answer.status_code == 403 and "set-cookie" not in answer.headers


async def test_a_cookie_is_for_tls_only_where_there_is_tls(
    browser: httpx.AsyncClient, parts: Parts
) -> None:
    behind = await browser.post(
        "/api/session",
        json={"id": "ann", "password": PASSWORD},
        headers={"x-forwarded-proto": "https"},
    )
    assert "; Secure" in behind.headers["set-cookie"]
    known = replace(parts, sign_in=replace(parts.sign_in, public_url="https://gate"))
    async with connect(known) as client:
        assert "; Secure" in (await sign_in(client)).headers["set-cookie"]
        public = {"origin": "https://gate", "host": "inner:8787"}
        again = await client.post(
            "/api/session", json={"id": "ann", "password": PASSWORD}, headers=public
        )
        assert again.status_code == 201


async def test_guesses_are_slowed_down_by_name_and_by_address(
    browser: httpx.AsyncClient, parts: Parts, clock: Clock
) -> None:
    """A name is guarded against many addresses, and every name against one address."""
    for number in range(10):
        answer = await browser.post(
            "/api/session",
            json={"id": "ann", "password": "wrong"},
            headers={"x-forwarded-for": f"203.0.113.{number}"},
        )
        assert answer.status_code == 401
    right = {"x-forwarded-for": "203.0.113.99"}
    refused = await browser.post(
        "/api/session", json={"id": "ann", "password": PASSWORD}, headers=right
    )
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    clock.now_s += 11
    allowed = await browser.post(
        "/api/session", json={"id": "ann", "password": PASSWORD}, headers=right
    )
    assert allowed.status_code == 201
    for number in range(30):
        body = {"id": f"name-{number}", "password": "wrong"}
        assert (await browser.post("/api/session", json=body)).status_code == 401
    assert (await sign_in(browser)).status_code == 429


async def test_many_guesses_at_once_are_no_way_around(browser: httpx.AsyncClient) -> None:
    """A try is spent before the password is looked at."""
    answers = await asyncio.gather(*(sign_in(browser, password=f"wrong-{n}") for n in range(20)))
    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 10


async def test_signing_in_rightly_is_never_slowed_down(browser: httpx.AsyncClient) -> None:
    for _ in range(40):
        assert (await sign_in(browser)).status_code == 201


async def test_signing_out_ends_this_session_or_all_of_them(
    browser: httpx.AsyncClient, parts: Parts
) -> None:
    await signed_in(browser)
    async with connect(parts) as there, connect(parts) as elsewhere:
        await signed_in(there)
        await signed_in(elsewhere)
        left = await browser.delete("/api/session")
        assert left.json() == {"closed": 1} and "Max-Age=0" in left.headers["set-cookie"]
        assert (await browser.get("/api/session")).status_code == 401
        assert (await there.get("/api/session")).status_code == 200
        everywhere = await there.delete("/api/session", params={"everywhere": "true"})
        assert everywhere.json() == {"closed": 2}
        assert (await elsewhere.get("/api/session")).status_code == 401


async def test_a_session_ends_when_it_is_idle_and_when_its_time_is_over(
    browser: httpx.AsyncClient, parts: Parts, db: Database, clerk: StoreClerk
) -> None:
    start_ms = db.system_clock_ms()
    await signed_in(browser)

    async def status_at(after_ms: int) -> int:
        db.system_clock_ms = lambda: start_ms + after_ms
        clerk.now_ms = start_ms + after_ms
        return (await browser.get("/api/session")).status_code

    idle_ms, max_ms = parts.sign_in.idle_ms, parts.sign_in.max_ms
    assert await status_at(idle_ms - 1) == 200
    assert await status_at(2 * idle_ms - 2) == 200
    assert await status_at(3 * idle_ms - 2) == 401
    await sign_in(browser)
    steps = range(3 * idle_ms, 3 * idle_ms + max_ms, idle_ms // 2)
    assert [await status_at(step) for step in steps] == [200] * len(steps)
    assert await status_at(3 * idle_ms + max_ms + idle_ms // 2) == 401


async def test_a_use_is_written_down_once_a_minute_and_may_fail(
    browser: httpx.AsyncClient, db: Database, clerk: StoreClerk
) -> None:
    """A page that asks ten times a second must not be ten writes a second."""
    start_ms = db.system_clock_ms()
    await signed_in(browser)
    for after_ms in (1, 2, SEEN_EVERY_MS, SEEN_EVERY_MS + 1):
        db.system_clock_ms = lambda after_ms=after_ms: start_ms + after_ms
        clerk.now_ms = start_ms + after_ms
        await browser.get("/api/session")
    assert sum(isinstance(one, TouchSession) for one, _ in clerk.seen) == 1
    clerk.is_down = True
    db.system_clock_ms = lambda: start_ms + 3 * SEEN_EVERY_MS
    assert (await browser.get("/api/session")).status_code == 200


async def test_a_role_and_a_deactivation_count_from_the_next_call_on(
    browser: httpx.AsyncClient, clerk: StoreClerk
) -> None:
    await signed_in(browser)
    assert (await browser.get("/api/users")).status_code == 403
    await clerk.command(PatchUser(id="ann", role="viewer"), ACTOR)
    assert (await browser.get("/api/users")).status_code == 200
    await clerk.command(PatchUser(id="ann", is_active=False), ACTOR)
    assert (await browser.get("/api/users")).status_code == 401
    answer = await sign_in(browser)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert (await sign_in(browser, password="wrong one")).status_code == 401


async def test_changing_ones_password_needs_the_old_one_and_ends_other_sessions(
    browser: httpx.AsyncClient, parts: Parts
) -> None:
    await signed_in(browser)
    async with connect(parts) as thief:
        await signed_in(thief)
        new = {"current_password": "wrong one", "password": "another long one"}
        assert (await browser.post("/api/user/password", json=new)).status_code == 401
        assert (await thief.get("/api/session")).status_code == 200
        short = {"current_password": PASSWORD, "password": "short"}
        assert (await browser.post("/api/user/password", json=short)).status_code == 400
        right = new | {"current_password": PASSWORD}
        assert (await browser.post("/api/user/password", json=right)).status_code == 200
        assert (await browser.get("/api/session")).status_code == 200
        assert (await thief.get("/api/session")).status_code == 401
        assert (await sign_in(thief)).status_code == 401
        assert (await sign_in(thief, password="another long one")).status_code == 201


async def test_the_admin_token_is_told_who_it_is_and_has_no_session(api: httpx.AsyncClient) -> None:
    shown = (await api.get("/api/session")).json()
    assert (shown["id"], shown["role"], shown["csrf_token"]) == (None, "admin", None)
    for method, path in (
        ("DELETE", "/api/session"),
        ("GET", "/api/user"),
        ("GET", "/api/user/keys"),
    ):
        assert (await api.request(method, path)).status_code == 400


async def test_a_session_is_kept_by_the_hash_of_its_cookie(
    browser: httpx.AsyncClient, db: Database
) -> None:
    """Whoever reads the store, or a backup of it, is not signed in by what stands there."""
    await sign_in(browser)
    cookie = browser.cookies[COOKIE]
    async with db.reading() as tx:
        found = await sessions.find(tx, hash_of(cookie), db.system_clock_ms(), 1 << 40)
        assert found is not None and found.account_id == "ann"


async def test_while_the_store_is_away_nobody_is_told_to_sign_in_again(
    browser: httpx.AsyncClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """401 would make every page forget who is there."""
    await signed_in(browser)

    def away(**_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(db, "reading", away)
    assert (await browser.get("/api/session")).status_code == 503
    token = await browser.get("/api/session", headers={"X-Admin-Token": ADMIN_TOKEN})
    assert token.status_code == 200


async def test_a_hash_opens_for_its_password_only() -> None:
    passwords = Passwords(bytes, Cost(passes=1, memory_kib=64))
    known = await passwords.hash("pässwort")
    assert known.startswith("$argon2id$")
    assert await passwords.is_right("pa\u0308sswort", known)  # typed as two characters
    for wrong in ("passwort", "pässwort ", "", "pässwort\0"):
        assert not await passwords.is_right(wrong, known)
    assert not await passwords.is_right("anything", "not a hash at all")
    assert not await passwords.is_right("anything", None)


async def test_a_repeated_call_has_the_same_hash_and_no_other_call_has() -> None:
    passwords = Passwords(lambda size: b"r" * size, Cost(passes=1, memory_kib=64))
    key = b"k" * 32
    once = await passwords.hash("password 1", once=salt_source(key, "retry-1", "ann"))
    assert once == await passwords.hash("password 1", once=salt_source(key, "retry-1", "ann"))
    for other in (
        passwords.hash("password 2", once=salt_source(key, "retry-1", "ann")),
        passwords.hash("password 1", once=salt_source(key, "retry-2", "ann")),
        passwords.hash("password 1", once=salt_source(key, "retry-1", "bob")),
        passwords.hash("password 1", once=salt_source(b"K" * 32, "retry-1", "ann")),
        passwords.hash("password 1", once=salt_source(key, None, "ann")),
    ):
        assert await other != once


async def test_a_flood_of_sign_ins_is_turned_away_instead_of_queued_for_ever() -> None:
    """Each holds 64 MB and a thread; the node has other work."""
    passwords = Passwords(bytes, Cost(passes=1, memory_kib=64))
    tries = [passwords.hash("long enough") for _ in range(WAITING_MAX + 5)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, Refusal) for one in outcomes) == 5
    assert (await passwords.hash("long enough")).startswith("$argon2id$")
