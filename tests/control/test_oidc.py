"""Signing in by OpenID Connect: the way there and back, and everything that must not come in."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest

from tallygate import config
from tallygate.control import oidc, service
from tallygate.control.oidc import Oidc, OidcOptions
from tallygate.control.oidc_sign_in import COOKIE as BEGUN
from tallygate.control.oidc_sign_in import TIME_S
from tallygate.control.parts import Parts
from tallygate.core.accounts import Role
from tallygate.core.errors import Code, Refusal
from tallygate.store.database import Database
from tests.control.clerk import StoreClerk
from tests.control.conftest import connect
from tests.fakes.oidc import CLIENT_ID, CLIENT_SECRET, Issuer, key_set, sign

pytestmark = pytest.mark.anyio

ISSUER = "https://id.example.com/realm"
OPTIONS = OidcOptions(issuer=ISSUER, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)


@pytest.fixture
def issuer(db: Database) -> Issuer:
    return Issuer(ISSUER, lambda: db.system_clock_ms() / 1000)


def with_oidc(parts: Parts, issuer: Issuer, options: OidcOptions = OPTIONS) -> Parts:
    client = Oidc(options, issuer.fetch, issuer.now_s)
    return replace(parts, sign_in=replace(parts.sign_in, oidc=client))


@pytest.fixture
async def browser(parts: Parts, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(with_oidc(parts, issuer)) as client:
        yield client


async def go(browser: httpx.AsyncClient, issuer: Issuer, **query: str) -> dict[str, str]:
    """To the provider, and what the browser comes back with."""
    begun = await browser.get("/api/session/oidc", params=query)
    assert begun.status_code == 303
    return issuer.authorize(begun.headers["location"])


async def come_back(browser: httpx.AsyncClient, back: dict[str, str]) -> httpx.Response:
    return await browser.get("/api/session/oidc/callback", params=back)


async def refused(browser: httpx.AsyncClient, back: dict[str, str]) -> str:
    answer = await come_back(browser, back)
    assert answer.status_code in (401, 403), answer.text
    assert "tallygate_session" not in answer.headers.get("set-cookie", "")
    assert (await browser.get("/api/session")).status_code == 401
    return str(answer.json()["error"]["message"])


async def test_a_person_goes_to_the_provider_and_comes_back_signed_in(
    browser: httpx.AsyncClient, issuer: Issuer, clerk: StoreClerk
) -> None:
    back = await go(browser, issuer, next="/console/usage?days=7")
    answer = await come_back(browser, back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/usage?days=7")
    cookies = answer.headers.get_list("set-cookie")
    assert any("tallygate_session=" in one and "HttpOnly" in one for one in cookies)
    assert any(one.startswith(f"{BEGUN}=;") and "Max-Age=0" in one for one in cookies)
    shown = (await browser.get("/api/session")).json()
    assert (shown["email"], shown["role"]) == ("ann@example.com", "member")
    again = await go(browser, issuer)
    await come_back(browser, again)
    assert (await browser.get("/api/session")).json()["id"] == shown["id"]
    assert issuer.asked.count("/keys") == 1


async def test_the_login_page_is_told_how_one_can_sign_in(
    browser: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    answer = await browser.get("/api/session/methods")
    assert answer.json() == {"password": True, "oidc": "/api/session/oidc"}
    assert (await stranger.get("/api/session/methods")).json()["oidc"] is None
    assert (await stranger.get("/api/session/oidc")).status_code == 404
    assert (await stranger.get("/api/session/oidc/callback")).status_code == 404


async def test_a_person_who_is_refused_is_led_back_to_their_page_and_a_program_is_told(
    browser: httpx.AsyncClient, stranger: httpx.AsyncClient, issuer: Issuer
) -> None:
    """Nobody should be left before a line of JSON; what was refused is not signed in, either."""
    page = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    refusals = {"error": "access_denied", "code": ""}
    for name, value in refusals.items():
        back = await go(browser, issuer, next="/console/usage?days=7")
        sent = {**back, name: value}
        shown = await browser.get("/api/session/oidc/callback", params=sent, headers=page)
        where = "/console/usage?days=7&sign_in=unauthorized"
        assert (shown.status_code, shown.headers["location"]) == (303, where)
        assert "tallygate_session" not in shown.headers.get("set-cookie", "")
        assert "did not sign you in" in await refused(browser, sent)
    lost = await stranger.get("/api/session/oidc/callback", headers=page)
    assert (lost.status_code, lost.headers["location"]) == (303, "/?sign_in=not_found")
    query = {"next": "//evil.example.com"}
    evil = await stranger.get("/api/session/oidc", params=query, headers=page)
    assert evil.headers["location"] == "/?sign_in=not_found"


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "another"},
        {"aud": "another"},
        {"iss": "https://evil.example.com"},
        {"exp": 1},
        {"sub": ""},
    ],
    ids=str,
)
async def test_a_token_for_anybody_else_signs_nobody_in(
    browser: httpx.AsyncClient, issuer: Issuer, wrong: dict[str, Any]
) -> None:
    issuer.token = lambda claims: sign(claims | wrong)
    message = await refused(browser, await go(browser, issuer))
    assert "ID token was refused" in message


@pytest.mark.parametrize("alg", ["none", "HS256"])
async def test_a_token_that_nobody_signed_signs_nobody_in(
    browser: httpx.AsyncClient, issuer: Issuer, alg: str
) -> None:
    issuer.token = lambda claims: sign(claims, alg)
    await refused(browser, await go(browser, issuer))


async def test_a_state_counts_once_even_with_its_cookie(
    browser: httpx.AsyncClient, issuer: Issuer, parts: Parts
) -> None:
    """Whoever copied browser and address bar both has still only what was used up."""
    back = await go(browser, issuer)
    kept = browser.cookies[BEGUN]
    assert (await come_back(browser, back)).status_code == 303
    issuer.forget_use_of(back["code"])
    async with connect(with_oidc(parts, issuer)) as thief:
        answer = await thief.get(
            "/api/session/oidc/callback", params=back, headers={"cookie": f"{BEGUN}={kept}"}
        )
        assert answer.status_code == 401
        assert (await thief.get("/api/session")).status_code == 401


async def test_a_sign_in_belongs_to_the_browser_that_began_it(
    browser: httpx.AsyncClient, issuer: Issuer, parts: Parts
) -> None:
    """Otherwise a link signs its victim in to the attacker's account."""
    attackers = await go(browser, issuer)
    async with connect(with_oidc(parts, issuer)) as victim:
        await refused(victim, attackers)
        await go(victim, issuer)
        await refused(victim, attackers)
    for spoilt in (
        {"code": attackers["code"]},
        {"state": attackers["state"]},
        {"error": "access_denied", "state": attackers["state"]},
        {"code": "x", "error": "access_denied", "state": attackers["state"]},
        attackers | {"state": "x"},
        attackers | {"code": "unknown"},
    ):
        await refused(browser, spoilt)


async def test_a_sign_in_that_takes_too_long_is_over(
    browser: httpx.AsyncClient, issuer: Issuer, db: Database
) -> None:
    back = await go(browser, issuer)
    start_ms = db.system_clock_ms()
    db.system_clock_ms = lambda: start_ms + TIME_S * 1000
    assert "too long" in await refused(browser, back)


@pytest.mark.parametrize(
    "path", ["https://evil.example.com", "//evil.example.com", "/\\evil.example.com", "x", "/a\nb"]
)
async def test_signing_in_leads_nowhere_else(
    browser: httpx.AsyncClient, issuer: Issuer, path: str
) -> None:
    """A link to our own login page that ends elsewhere is how people are fished."""
    answer = await come_back(browser, await go(browser, issuer, next=path))
    assert answer.headers["location"] == "/"


async def test_only_verified_addresses_of_allowed_domains_come_in(
    parts: Parts, issuer: Issuer
) -> None:
    options = replace(OPTIONS, domains=frozenset({"example.com"}))
    async with connect(with_oidc(parts, issuer, options)) as browser:
        for wrong in (
            {"email": "ann@evil.com"},
            {"email": "ann@sub.example.com"},
            {"email": "ann@evil.com@example.com"},
            {"email": "@example.com"},
            {"email_verified": False},
            {"email_verified": None},
            {"email": None},
        ):
            issuer.person |= {"email": "ann@example.com", "email_verified": True} | wrong
            await refused(browser, await go(browser, issuer))
        issuer.person |= {"email": "ann@EXAMPLE.com", "email_verified": True}
        assert (await come_back(browser, await go(browser, issuer))).status_code == 303


async def test_an_address_that_nobody_vouches_for_opens_no_account(
    browser: httpx.AsyncClient, issuer: Issuer, api: httpx.AsyncClient
) -> None:
    """Anybody may claim an address at some provider; only a verified one finds an account."""
    await api.post("/api/users", json={"id": "ann", "email": "ann@example.com", "role": "admin"})
    issuer.person["email_verified"] = False
    await come_back(browser, await go(browser, issuer))
    shown = (await browser.get("/api/session")).json()
    assert shown["id"] != "ann" and (shown["email"], shown["role"]) == (None, "member")


async def test_groups_decide_the_role_at_each_sign_in(parts: Parts, issuer: Issuer) -> None:
    """Who was taken out of a group there is out of it here at the next sign-in."""
    roles = {"boss": Role.ADMIN, "staff": Role.VIEWER}
    options = replace(OPTIONS, roles=roles, role_claim="teams")
    async with connect(with_oidc(parts, issuer, options)) as browser:
        for teams, expected in (
            (["staff", "boss", 7], "admin"),
            ("staff", "viewer"),
            ([], "member"),
            (None, "member"),
        ):
            issuer.person["teams"] = teams
            await come_back(browser, await go(browser, issuer))
            assert (await browser.get("/api/session")).json()["role"] == expected
    closed = replace(options, default_role=None)
    async with connect(with_oidc(parts, issuer, closed)) as browser:
        await refused(browser, await go(browser, issuer))


async def test_a_provider_that_changed_its_keys_is_asked_again_but_not_often(
    issuer: Issuer, db: Database
) -> None:
    """A token that names any key at all must not make us fetch for each of them."""
    client = Oidc(OPTIONS, issuer.fetch, issuer.now_s)
    issuer.keys = key_set(with_ec=False)
    await _person(client, issuer)
    issuer.token = lambda claims: sign(claims, "ES256")
    issuer.keys = key_set()
    with pytest.raises(Refusal):
        await _person(client, issuer)
    assert issuer.asked.count("/keys") == 1
    start_ms = db.system_clock_ms()
    db.system_clock_ms = lambda: start_ms + 61_000
    assert (await _person(client, issuer)).subject == f"{ISSUER} sub-1"
    assert issuer.asked.count("/keys") == 2


async def _person(client: Oidc, issuer: Issuer) -> oidc.Person:
    back = issuer.authorize(await client.address("https://gate/cb", "s", "n", "v"))
    return await client.person(back["code"], "v", "https://gate/cb", "n")


async def test_a_wrong_verifier_or_redirect_brings_no_token(issuer: Issuer) -> None:
    client = Oidc(OPTIONS, issuer.fetch, issuer.now_s)
    for verifier, redirect_uri in (("other", "https://gate/cb"), ("v", "https://evil/cb")):
        back = issuer.authorize(await client.address("https://gate/cb", "s", "n", "v"))
        with pytest.raises(Refusal) as refusal:
            await client.person(back["code"], verifier, redirect_uri, "n")
        assert refusal.value.code is Code.UNAUTHORIZED


async def test_a_provider_that_misbehaves_is_named_as_such(issuer: Issuer) -> None:
    """A refusal that blames the person would send them to reset a password that is right."""
    for spoilt in (
        {"issuer": "https://evil.example.com"},
        {"token_endpoint": "http://id.example.com/token"},
        {"jwks_uri": "http://id.example.com/keys"},
        {"jwks_uri": f"{ISSUER}/nothing"},
        {"token_endpoint": 7},
    ):
        whole = dict(issuer.document)
        issuer.document |= spoilt
        with pytest.raises(Refusal) as refusal:
            await _person(Oidc(OPTIONS, issuer.fetch, issuer.now_s), issuer)
        assert refusal.value.code is Code.UPSTREAM_MISBEHAVED, spoilt
        issuer.document = whole


async def test_a_client_may_send_its_secret_in_the_form_or_have_none(issuer: Issuer) -> None:
    issuer.document["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    await _person(Oidc(OPTIONS, issuer.fetch, issuer.now_s), issuer)
    public = replace(OPTIONS, client_secret=None)
    with pytest.raises(Refusal):
        await _person(Oidc(public, issuer.fetch, issuer.now_s), issuer)


async def test_the_settings_make_a_client_that_works_over_a_socket(
    db: Database, issuer: Issuer
) -> None:
    """The one real request: redirects are not followed, and an answer is read to its end."""
    issuer.now_s = lambda: service.system_ms() / 1000
    async with issuer.serve() as address:
        settings, _ = config.load(
            {
                "TALLYGATE_OIDC_ISSUER": address,
                "TALLYGATE_OIDC_CLIENT_ID": CLIENT_ID,
                "TALLYGATE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
                "TALLYGATE_OIDC_ROLES": "boss=admin",
                "TALLYGATE_OIDC_DOMAINS": "example.com, @example.org",
            }
        )
        client = service.sign_in_of(settings).oidc
        assert client is not None
        issuer.person["groups"] = ["boss"]
        person = await _person(client, issuer)
        assert (person.role, person.email) == (Role.ADMIN, "ann@example.com")
        assert CLIENT_SECRET not in repr(client.options) + repr(settings)
    with pytest.raises(Refusal) as refusal:
        await _person(service.sign_in_of(settings).oidc or client, issuer)
    assert refusal.value.code is Code.UPSTREAM_UNREACHABLE


async def test_the_way_back_is_the_one_that_the_operator_named(
    parts: Parts, issuer: Issuer
) -> None:
    named = with_oidc(parts, issuer)
    named = replace(named, sign_in=replace(named.sign_in, public_url="https://gate.example.com"))
    for own, expected in (
        (named, "https://gate.example.com/api/session/oidc/callback"),
        (with_oidc(parts, issuer), "http://gate/api/session/oidc/callback"),
    ):
        async with connect(own) as browser:
            begun = await browser.get("/api/session/oidc")
            query = parse_qs(urlsplit(begun.headers["location"]).query)
            assert query["redirect_uri"] == [expected]
