"""/api/dify/apps: the apps of Dify servers that are proxied, and how each one's use is billed.

An app's key goes in, never out; the pair for its tracing export is shown once, when it is made.
"""

import decimal
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import bodies, lists, spellings
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.dify import DEFAULT_APP
from tallygate.core.dify_commands import (
    DeleteDifyApp,
    DifyAppView,
    RenewDifyTracing,
    SaveDifyApp,
)
from tallygate.core.errors import Code, Refusal
from tallygate.core.money import BadAmount, format_points, parse_points
from tallygate.store import dify_apps

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Url = Annotated[str, msgspec.Meta(max_length=2048)]
Secret = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"^[\x21-\x7e]*\Z")]
Model = Annotated[str, msgspec.Meta(max_length=256)]


class DifyAppChange(bodies.Body, kw_only=True):
    """What of an app can be changed; a field that is left out stays as it is."""

    instance: Annotated[str, msgspec.Meta(max_length=256)] | UnsetType = UNSET
    api_url: Url | UnsetType = UNSET
    api_key: Secret | UnsetType = UNSET
    billed_by: Literal["dify", "gateway"] | UnsetType = UNSET
    model: Model | UnsetType = UNSET
    hold_points: decimal.Decimal | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class NewDifyApp(DifyAppChange, kw_only=True):
    """An app: its server's API and its key (`app-…`)."""

    name: Name
    api_url: Url


class Tracing(msgspec.Struct, kw_only=True):
    """What Dify's Langfuse tracing is set to; `secret_key` only when it was just made."""

    public_key: str
    secret_key: str | None


class DifyApp(msgspec.Struct, kw_only=True):
    """An app without its key. Clients call it at `path` with their Tallygate key."""

    name: str
    path: str
    instance: str
    api_url: str
    has_api_key: bool
    billed_by: str
    model: str
    hold_points: msgspec.Raw
    hold_micros: int
    is_active: bool
    is_from_settings: bool
    tracing: Tracing | None
    created_at: str | None


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/dify/apps", tags=["dify"])

    @router.get("", **described(lists.Page[DifyApp]))
    async def list_dify_apps(limit: str | None = None, cursor: str | None = None) -> Response:
        """Every Dify app, by name; the one of TALLYGATE_DIFY_API_URL is marked."""
        async with parts.database.reading() as tx:
            found = await dify_apps.list_all(tx, parts.settings_app)
        return bodies.answer(lists.cut([shown(view) for view in found], limit, cursor))

    @router.post("", **described(DifyApp, status=201, body=NewDifyApp))
    async def create_dify_app(request: Request) -> Response:
        """Add an app. The answer holds the pair for its tracing export, this once."""
        body = await spellings.read(request, NewDifyApp)
        made = await order(parts.clerk, request, _change(body, body.name, is_new=True), DifyAppView)
        return bodies.answer(shown(made), 201)

    @router.patch("/{name}", **described(DifyApp, body=DifyAppChange))
    async def change_dify_app(request: Request, name: str) -> Response:
        """Change an app; gateways use it so within a second."""
        body = await spellings.read(request, DifyAppChange)
        saved = await order(parts.clerk, request, _change(body, name, is_new=False), DifyAppView)
        return bodies.answer(shown(saved))

    @router.post("/{name}/tracing", **described(DifyApp, status=201))
    async def renew_dify_tracing(request: Request, name: str) -> Response:
        """A new pair for the app's tracing export; the old one ends at once."""
        await bodies.read(request, bodies.Body)
        made = await order(parts.clerk, request, RenewDifyTracing(name=name), DifyAppView)
        return bodies.answer(shown(made), 201)

    @router.delete("/{name}", **described(dict[str, bool]))
    async def delete_dify_app(request: Request, name: str) -> Response:
        """Remove an app; calls that it is answering end as they would have."""
        await order(parts.clerk, request, DeleteDifyApp(name=name), object)
        return bodies.answer({"deleted": True})

    return router


def shown(view: DifyAppView) -> DifyApp:
    """An app as the API and the command line answer it."""
    tracing = None
    if view.trace_public:
        tracing = Tracing(public_key=view.trace_public, secret_key=view.trace_secret)
    is_default = view.name == DEFAULT_APP
    return DifyApp(
        name=view.name,
        path="/dify/v1" if is_default else f"/dify/apps/{view.name}/v1",
        instance=view.instance,
        api_url=view.api_url,
        has_api_key=view.has_secret,
        billed_by=view.billed_by,
        model=view.model,
        hold_points=msgspec.Raw(format_points(view.hold_micros).encode()),
        hold_micros=view.hold_micros,
        is_active=view.is_active,
        is_from_settings=view.is_from_settings,
        tracing=tracing,
        created_at=bodies.rfc3339(view.created_ms or None),
    )


def _change(body: DifyAppChange, name: str, *, is_new: bool) -> SaveDifyApp:
    given = {**bodies.plain(body), "name": name, "is_new": is_new}
    if "api_key" in given:
        given["secret"] = given.pop("api_key")
    if "hold_points" in given:
        try:
            given["hold_micros"] = parse_points(given.pop("hold_points"))
        except BadAmount as error:
            message = f"`hold_points`: {error}"
            raise Refusal(Code.BAD_REQUEST, message, param="hold_points") from None
    return SaveDifyApp(**given)
