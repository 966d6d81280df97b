"""The web console: its page under every address of its own, and the files that the page loads.

The page names its own policy's nonce, so it is made anew for each browser and never kept. The
files bear a hash in their names and are kept for good; `scripts/web.py` has compressed them.
"""

import asyncio
import html
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate import __version__
from tallygate.control.cookies import cookie_of
from tallygate.core.errors import Code, Refusal

FILES = Path(__file__).resolve().parent.parent / "console_files"
PAGES = ("/", "/admin", "/token-dashboard", "/dify-test", "/console", "/console/{path:path}")
# Shows another server's pages in a frame, which no other page of ours does.
FRAMING = "/dify-test"
FOR_GOOD = "public, max-age=31536000, immutable"
_FACTS = '<meta name="tallygate" content="{}" />'
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
_ENCODINGS = {"br": ".br", "gzip": ".gz"}  # the better one first
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


class Facts(msgspec.Struct, rename="camel", kw_only=True):
    """What the page knows before it has asked for anything."""

    nonce: str
    version: str = __version__
    has_session: bool


class Console:
    """A folder that `vite build` has written; it may be missing, and come while we serve."""

    def __init__(self, folder: Path = FILES) -> None:
        self._folder = folder

    @property
    def is_built(self) -> bool:
        return (self._folder / "index.html").is_file()

    def page(self, request: Request) -> Response:
        """The one page, told what it needs to begin."""
        nonce = secrets.token_urlsafe(16)
        facts = Facts(nonce=nonce, has_session=bool(cookie_of(request)))
        told = html.escape(msgspec.json.encode(facts).decode())
        # Read anew each time: a new build names new files.
        template = (self._folder / "index.html").read_text("utf-8")
        assert _FACTS in template, "the page has no place for what the server tells it"
        content = template.replace(_FACTS, f'<meta name="tallygate" content="{told}" />')
        content = content.replace("</head>", f"{self._asked_for_ahead(request.url.path)}</head>", 1)
        frames = "https: http:" if request.url.path == FRAMING else "'none'"
        return Response(content, 200, page_headers(nonce, frames), "text/html; charset=utf-8")

    def _asked_for_ahead(self, path: str) -> str:
        """Links to the files of the page at this address, or at the one above it.

        Without them a browser learns of each only from the script that wants it, one after another.
        """
        told = _content_of(self._folder / "pages.json")
        if told is None:
            return ""
        files = msgspec.json.decode(told, type=dict[str, list[str]])
        named = files.get(path) or files.get(path.rpartition("/")[0], [])
        return "".join(f'<link rel="modulepreload" crossorigin href="/{name}">' for name in named)

    async def file(self, name: str, accepted: str) -> Response:
        """A file by its hashed name, in the best form that this browser reads."""
        path = self._folder / "assets" / name
        if not _NAME.fullmatch(name) or path.suffix not in _TYPES:
            raise Refusal(Code.NOT_FOUND, "there is no such file")
        headers = {**_BARE, "cache-control": FOR_GOOD, "vary": "accept-encoding"}
        for encoding, suffix in _ENCODINGS.items():
            if reads(accepted, encoding):
                content = await asyncio.to_thread(_content_of, path.with_name(name + suffix))
                if content is not None:
                    headers["content-encoding"] = encoding
                    return Response(content, 200, headers, _TYPES[path.suffix])
        content = await asyncio.to_thread(_content_of, path)
        if content is None:
            raise Refusal(Code.NOT_FOUND, "there is no such file")
        return Response(content, 200, headers, _TYPES[path.suffix])


def add_files(router: APIRouter, console: Console) -> None:
    """The addresses that lead to files; the pages' are with the pages that need no script."""

    @router.get("/assets/{name}")
    async def asset(request: Request, name: str) -> Response:
        return await console.file(name, request.headers.get("accept-encoding", ""))

    @router.get("/robots.txt")
    async def robots() -> Response:
        headers = {**_BARE, "cache-control": "public, max-age=86400"}
        return Response("User-agent: *\nDisallow: /\n", 200, headers, "text/plain")


_BARE = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin"}


def page_headers(nonce: str, frames: str) -> Mapping[str, str]:
    """The policy of the console's page: only its own files, no inline script, in nobody's frame.

    Ant Design writes style elements, which bear the nonce.
    """
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' 'nonce-{nonce}'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        f"frame-src {frames}",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
    return {
        **_BARE,
        "cache-control": "no-store",
        "content-security-policy": "; ".join(policy),
        "cross-origin-opener-policy": "same-origin",
        "x-frame-options": "DENY",
    }


def reads(accepted: str, encoding: str) -> bool:
    """Whether `Accept-Encoding` names it and does not refuse it with q=0."""
    for part in accepted.lower().split(","):
        name, _, parameter = part.partition(";")
        if name.strip() == encoding:
            return not re.fullmatch(r"q=0(?:\.0*)?", parameter.strip())
    return False


def _content_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
