"""/api/providers: the upstreams that requests are forwarded to. A secret goes in, never out."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import bodies, lists
from tallygate.control.callers import caller_of
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.commands import DeleteProvider, ProviderView, SaveProvider
from tallygate.core.errors import Code, Refusal
from tallygate.store import providers

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Url = Annotated[str, msgspec.Meta(max_length=2048)]
Secret = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"^[\x21-\x7e]*\Z")]
Pool = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Weight = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Priority = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=86_400_000)]
Model = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Models = Annotated[list[Model], msgspec.Meta(max_length=10_000)]
Aliases = Annotated[dict[Model, Model], msgspec.Meta(max_length=10_000)]
Caps = Annotated[
    dict[Model, Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]],
    msgspec.Meta(max_length=10_000),
]
Paths = Annotated[
    list[
        Annotated[str, msgspec.Meta(max_length=256, pattern=r"^/v1/(?!.*\.\.)[A-Za-z0-9._/*-]*\Z")]
    ],
    msgspec.Meta(max_length=100),
]


class ProviderChange(bodies.Body, kw_only=True):
    """What of a provider can be changed; a field that is left out stays as it is."""

    protocol: Literal["openai", "anthropic"] | UnsetType = UNSET
    base_url: Url | UnsetType = UNSET
    secret: Secret | UnsetType = UNSET
    credentials: Pool | UnsetType | None = UNSET
    weight: Weight | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    models: Models | UnsetType | None = UNSET
    aliases: Aliases | UnsetType = UNSET
    output_tokens_max: Caps | UnsetType = UNSET
    passthrough: Paths | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    connect_ms: Milliseconds | UnsetType = UNSET
    first_byte_ms: Milliseconds | UnsetType = UNSET
    between_bytes_ms: Milliseconds | UnsetType = UNSET
    total_ms: Milliseconds | UnsetType = UNSET


class NewProvider(ProviderChange, kw_only=True):
    """A provider: where it is, what it speaks, and the secret that it wants."""

    name: Name
    base_url: Url


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/providers", tags=["providers"])

    @router.get("", **described(lists.Page[ProviderView]))
    async def list_providers(limit: str | None = None, cursor: str | None = None) -> Response:
        """Every configured provider, by name; the one of DEEPSEEK_API_KEY is marked."""
        async with parts.database.reading() as tx:
            found = await providers.list_all(tx, parts.from_settings)
        return bodies.answer(lists.cut(found, limit, cursor))

    @router.post("", **described(ProviderView, status=201, body=NewProvider))
    async def create_provider(request: Request) -> Response:
        """Add a provider. The demo model is gone from then on."""
        body = await bodies.read(request, NewProvider)
        _check_url(body.base_url)
        change = SaveProvider(is_new=True, **bodies.plain(body))
        return bodies.answer(await order(parts.clerk, request, change, ProviderView), 201)

    @router.patch("/{name}", **described(ProviderView, body=ProviderChange))
    async def change_provider(request: Request, name: str) -> Response:
        """Change a provider; gateways use it so within a second."""
        body = await bodies.read(request, ProviderChange)
        _check_reach(request, body)
        if body.base_url is not UNSET:
            _check_url(body.base_url)
        change = SaveProvider(name=name, is_new=False, **bodies.plain(body))
        return bodies.answer(await order(parts.clerk, request, change, ProviderView))

    @router.delete("/{name}", **described(dict[str, bool]))
    async def delete_provider(request: Request, name: str) -> Response:
        """Remove a provider; requests that it is answering end as they would have."""
        await order(parts.clerk, request, DeleteProvider(name=name), object)
        return bodies.answer({"deleted": True})

    return router


def _check_reach(request: Request, body: ProviderChange) -> None:
    """Where a provider is decides who is sent its secret."""
    if not caller_of(request).is_admin:
        for name in ("secret", "base_url", "protocol"):
            if getattr(body, name) is not UNSET:
                raise Refusal(Code.FORBIDDEN, f"only an admin changes `{name}`", param=name)


def _check_url(url: str) -> None:
    """An address to forward to: without credentials, a query or a fragment; never repeated back,
    since it may hold a password."""
    problem = ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, problem = None, None, "it is not a URL"
    else:
        if re.search(r"[\x00-\x20\x7f-\uffff]", url):
            problem = "it holds a character that does not belong into a URL"
        elif parts.scheme not in ("http", "https") or not host or port == 0:
            problem = "use http:// or https:// and a host, as in https://api.deepseek.com/v1"
        elif parts.username is not None or parts.password is not None:
            problem = "leave credentials out of it and send them as `secret`"
        elif parts.query or parts.fragment or "?" in url or "#" in url:
            problem = "leave out the query and the fragment"
    if problem:
        raise Refusal(Code.BAD_REQUEST, f"`base_url`: {problem}", param="base_url")
