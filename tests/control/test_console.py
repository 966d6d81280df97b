"""The console's page and files, as a browser is given them."""

import gzip
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2 as httpx
import pytest

from tallygate.control.console import FOR_GOOD, Console, reads
from tallygate.control.parts import Parts
from tests.control.conftest import ADMIN_TOKEN, connect

pytestmark = pytest.mark.anyio

PAGES = (
    "/",
    "/admin",
    "/token-dashboard",
    "/dify-test",
    "/console",
    "/console/keys",
    "/console/a/b",
)
SCRIPT = "export const answer = 42;\n"


@pytest.fixture
def built(parts: Parts, tmp_path: Path) -> Parts:
    """A console as `vite build` leaves it, in small."""
    folder = tmp_path / "built"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(
        '<html><head><meta name="tallygate" content="{}" /></head><body></body></html>'
    )
    (folder / "assets" / "index-a1.js").write_text(SCRIPT)
    (folder / "assets" / "index-a1.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (folder / "assets" / "index-a1.css").write_text("a{}")
    (folder / "assets" / "secret.key").write_text("no")
    (folder / "outside.js").write_text("no")
    return replace(parts, console=Console(folder))


@pytest.fixture
async def browser(built: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(built) as client:
        yield client


@pytest.mark.parametrize("path", PAGES)
async def test_every_address_of_the_console_is_its_page(
    browser: httpx.AsyncClient, path: str
) -> None:
    """A link to any page works for whoever is sent it, signed in or not."""
    answer = await browser.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert (await browser.head(path)).status_code == 200


async def test_what_is_below_admin_is_api_only(browser: httpx.AsyncClient) -> None:
    """Scripts of the quota proxy must never be answered a page."""
    assert (await browser.get("/admin/keys")).status_code == 401
    assert (await browser.get("/admin/nothing")).status_code == 404


async def test_the_page_runs_no_script_but_ours_and_stands_in_no_frame(
    browser: httpx.AsyncClient,
) -> None:
    """A stored name that is markup must not run, and no other page may lay itself over ours."""
    answer = await browser.get("/console/keys")
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["frame-src"] == "'none'"
    assert "unsafe" not in str(policy)
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


async def test_only_the_dify_page_may_hold_another_servers_frame(
    browser: httpx.AsyncClient,
) -> None:
    """It watches a chat that is somebody else's page; nothing else has a reason to."""
    assert (
        "frame-src https: http:"
        in (await browser.get("/dify-test")).headers["content-security-policy"]
    )


async def test_each_page_bears_a_nonce_of_its_own(browser: httpx.AsyncClient) -> None:
    """A nonce that can be learnt from another answer would let in what it is to keep out."""
    nonces = set()
    for _ in range(3):
        answer = await browser.get("/")
        found = re.search(r"'nonce-([^']+)'", answer.headers["content-security-policy"])
        assert found and found[1] in answer.text
        nonces.add(found[1])
    assert len(nonces) == 3


async def test_the_page_says_whether_a_session_may_be_asked_for(
    browser: httpx.AsyncClient,
) -> None:
    """Signed out, nothing is asked that can only be refused."""
    assert "&quot;hasSession&quot;:false" in (await browser.get("/")).text
    headers = {"cookie": "tallygate_session=abc"}
    assert "&quot;hasSession&quot;:true" in (await browser.get("/", headers=headers)).text


async def test_a_page_names_the_files_that_it_will_want(
    browser: httpx.AsyncClient, tmp_path: Path
) -> None:
    """A browser that learns of a file from another one's script waits for each in turn."""
    assert "modulepreload" not in (await browser.get("/console/usage")).text
    told = '{"/console/usage": ["assets/Usage-b2.js", "assets/Canvas-c3.js"]}'
    (tmp_path / "built" / "pages.json").write_text(told)
    head = (await browser.get("/console/usage")).text.partition("</head>")[0]
    named = re.findall(r'<link rel="modulepreload" crossorigin href="([^"]+)">', head)
    assert named == ["/assets/Usage-b2.js", "/assets/Canvas-c3.js"]
    assert "Usage-b2.js" in (await browser.get("/console/usage/12")).text
    for other in ("/console/keys", "/console", "/"):
        assert "modulepreload" not in (await browser.get(other)).text, other


async def test_files_are_kept_for_good_and_sent_compressed(browser: httpx.AsyncClient) -> None:
    """Their names change with their content, so no browser asks twice."""
    answer = await browser.get("/assets/index-a1.js", headers={"accept-encoding": "gzip"})
    assert (answer.status_code, answer.text) == (200, SCRIPT)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == FOR_GOOD
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["vary"] == "accept-encoding"
    plain = await browser.get("/assets/index-a1.js", headers={"accept-encoding": "identity"})
    assert (plain.text, plain.headers.get("content-encoding")) == (SCRIPT, None)
    style = await browser.get("/assets/index-a1.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize(
    "name",
    ["secret.key", "nothing.js", "%2e%2e%2foutside.js", "..%5coutside.js", ".hidden.js", "a%00.js"],
)
async def test_no_other_file_can_be_named(browser: httpx.AsyncClient, name: str) -> None:
    """A folder that is served must not be a way to the folders around it."""
    assert (await browser.get(f"/assets/{name}")).status_code == 404


def test_an_encoding_counts_unless_it_is_refused() -> None:
    assert reads("gzip, deflate, br", "br") and reads("GZIP;q=0.5", "gzip")
    assert not reads("", "br") and not reads("br;q=0, gzip", "br") and not reads("bro", "br")


async def test_a_tree_without_a_console_says_how_to_build_it(
    stranger: httpx.AsyncClient,
) -> None:
    """A blank page would be looked for everywhere but in the build."""
    for path in PAGES:
        answer = await stranger.get(path)
        assert answer.status_code == 200 and "make setup" in answer.text, path


async def test_with_a_console_host_nothing_of_ours_is_on_another(built: Parts) -> None:
    """A private service's page must share no origin, and no cookie, with the console."""
    parts = replace(built, console_host="console.example.com")
    headers = {"X-Admin-Token": ADMIN_TOKEN}
    async with connect(parts, **headers) as client:
        for path in ("/", "/console/keys", "/assets/index-a1.js", "/docs", "/api/keys"):
            for host, status in (
                ("console.example.com", 200),
                ("Console.Example.com:8443", 200),
                ("gate.example.com", 404),
                ("console.example.com.evil.test", 404),
            ):
                answer = await client.get(path, headers={"host": host})
                assert answer.status_code == status, (path, host)
        answer = await client.post("/api/session", json={}, headers={"host": "gate.example.com"})
        assert answer.status_code == 404 and "set-cookie" not in answer.headers
        metrics = await client.get("/metrics", headers={"host": "gate.example.com"})
        assert metrics.status_code == 200
