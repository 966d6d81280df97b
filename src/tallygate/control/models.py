"""/api/models: what each model costs. A change adds a version; none is ever rewritten."""

import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import amounts, bodies, lists, model_lists
from tallygate.control.amounts import Decimals
from tallygate.control.bodies import Text
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.errors import Code, Refusal
from tallygate.core.price_commands import Alias, Saved, SavePrice, SetAlias
from tallygate.core.price_import import Known
from tallygate.core.price_terms import TOKEN_PRICES, Version, Written, write_terms
from tallygate.store import prices
from tallygate.store.database import Tx

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_OPTIONAL = ("cache_read_token_price", "cache_write_token_price")


class PriceChange(bodies.Body, kw_only=True):
    """What of a price can be changed; what is left out stays. null: cached input costs as input.

    Without `effective_from`, or with a time in the past, it takes effect at once.
    """

    input_token_price: Decimals | UnsetType = UNSET
    output_token_price: Decimals | UnsetType = UNSET
    cache_read_token_price: Decimals | UnsetType = UNSET
    cache_write_token_price: Decimals | UnsetType = UNSET
    request_price: Decimals | UnsetType = UNSET
    currency: Literal["usd", "points"] | UnsetType = UNSET
    per_tokens: Literal[1000, 1000000] | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    effective_from: datetime.datetime | UnsetType | None = UNSET
    reason: Text = ""


class NewPrice(PriceChange, kw_only=True):
    """A model's price: in US dollars for 1,000 tokens unless it says otherwise."""

    model_name: Name
    input_token_price: Decimals
    output_token_price: Decimals


class Model(msgspec.Struct, kw_only=True):
    """A version of a model's price. `version` is its id, as charges pin it."""

    model_name: str
    version: str
    input_token_price: str
    output_token_price: str
    cache_read_token_price: str | None
    cache_write_token_price: str | None
    request_price: str
    currency: str
    per_tokens: int
    is_active: bool
    effective_from: str
    reason: str
    created_at: str
    admin_id: str
    source: str


class ListedModel(Model, kw_only=True):
    """The version in effect, or else the next one; with the model's other names."""

    aliases: list[str]
    next_effective_from: str | None


class PastModel(Model, kw_only=True):
    """`state`: current, upcoming, past, or replaced before its time came."""

    state: str


class NewAlias(bodies.Body, kw_only=True):
    alias: Name


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/models", tags=["models"])
    _reading(router, parts)
    _changing(router, parts)
    _naming(router, parts)
    return router


def _reading(router: APIRouter, parts: Parts) -> None:
    @router.get("", **described(lists.Page[ListedModel], query=model_lists.QUERY))
    async def list_models(
        request: Request, limit: str | None = None, cursor: str | None = None
    ) -> Response:
        """Every model that has a price, by name; `*` is the price of unknown models."""
        wanted = model_lists.read(request.query_params)
        now_ms = await parts.database.clock_ms()
        async with parts.database.reading() as tx:
            found = await _listed(tx, now_ms)
        return bodies.answer(lists.cut(model_lists.listed(found, wanted), limit, cursor))

    @router.get("/{model_name:path}/history", **described(lists.Page[PastModel]))
    async def show_history(
        model_name: str, limit: str | None = None, cursor: str | None = None
    ) -> Response:
        """Every version of a model's price, the one that was made last first."""
        now_ms = await parts.database.clock_ms()
        async with parts.database.reading() as tx:
            known = await prices.known(tx, now_ms)
            name = _known_name(known, model_name)
            items = past(await prices.history(tx, name), now_ms)
        return bodies.answer(lists.cut(items, limit, cursor))

    @router.get("/{model_name:path}", **described(ListedModel))
    async def show_model(model_name: str) -> Response:
        """One model, by its name or one of its other names; slashes are a part of it."""
        now_ms = await parts.database.clock_ms()
        async with parts.database.reading() as tx:
            known = await prices.known(tx, now_ms)
            name = _known_name(known, model_name)
            (found,) = [one for one in await _listed(tx, now_ms) if one.model_name == name]
        return bodies.answer(found)


def _changing(router: APIRouter, parts: Parts) -> None:
    @router.post("", **described(ListedModel, status=201, body=NewPrice))
    async def save_price(request: Request) -> Response:
        """Set a model's price: 201 for a new model, 200 for another version of a known one.

        It counts for every event that is received after this answer.
        """
        body = await bodies.read(request, NewPrice)
        saved = await order(parts.clerk, request, _command(body.model_name, body), Saved)
        return await _answer(parts, saved)

    @router.patch("/{model_name:path}", **described(ListedModel, body=PriceChange))
    async def change_price(request: Request, model_name: str) -> Response:
        """Change some of a price: another version, with the rest as it is."""
        body = await bodies.read(request, PriceChange)
        change = _command(model_name, body)
        change.is_patch = True
        return await _answer(parts, await order(parts.clerk, request, change, Saved))


def _naming(router: APIRouter, parts: Parts) -> None:
    @router.post("/{model_name:path}/aliases", **described(Alias, status=201, body=NewAlias))
    async def add_alias(request: Request, model_name: str) -> Response:
        """Another name for a model; a name that another model had is moved."""
        body = await bodies.read(request, NewAlias)
        change = SetAlias(name=body.alias, model=model_name)
        return bodies.answer(await order(parts.clerk, request, change, Alias), 201)

    @router.delete("/{model_name:path}/aliases/{alias:path}", **described(Alias))
    async def remove_alias(request: Request, model_name: str, alias: str) -> Response:
        """Take a name away; whoever asks by it then asks for an unknown model."""
        now_ms = await parts.database.clock_ms()
        async with parts.database.reading() as tx:
            known = await prices.known(tx, now_ms)
        if known.aliases.get(alias.casefold()) != _known_name(known, model_name):
            raise Refusal(Code.NOT_FOUND, "this model has no such other name")
        change = SetAlias(name=alias, model=None)
        return bodies.answer(await order(parts.clerk, request, change, Alias))


def past(versions: list[Version], now_ms: int) -> list[PastModel]:
    """The versions of one model, each with what it is by now."""
    states = _states(versions, now_ms)
    return [PastModel(state=states[version.id], **_fields(version)) for version in versions]


def model_of(version: Version) -> Model:
    return Model(**_fields(version))


def listed(version: Version, aliases: list[str], upcoming: list[Version]) -> ListedModel:
    following = [one.effective_ms for one in upcoming if one.model == version.model]
    return ListedModel(
        aliases=aliases,
        next_effective_from=bodies.rfc3339(min(following, default=None)),
        **_fields(version),
    )


async def _listed(tx: Tx, now_ms: int) -> list[ListedModel]:
    current = await prices.list_current(tx, now_ms)
    upcoming = await prices.list_upcoming(tx, now_ms)
    known = Known(current, await prices.read_aliases(tx))
    return [listed(one, known.aliases_of(one.model), upcoming) for one in current]


async def _answer(parts: Parts, saved: Saved) -> Response:
    """The version that was made, also when its time is still to come."""
    now_ms = await parts.database.clock_ms()
    async with parts.database.reading() as tx:
        upcoming = await prices.list_upcoming(tx, now_ms)
    model = listed(saved.version, saved.aliases, upcoming)
    return bodies.answer(model, 201 if saved.is_new else 200)


def _command(model: str, body: PriceChange) -> SavePrice:
    written = Written(currency=body.currency, per_tokens=body.per_tokens, is_active=body.is_active)
    for field in (*TOKEN_PRICES, "request_price"):
        raw = getattr(body, field)
        if raw is not UNSET:
            read = amounts.read_optional if field in _OPTIONAL else amounts.read_decimal
            setattr(written, field, read(raw, field))
    effective_ms = None
    if isinstance(body.effective_from, datetime.datetime):
        effective_ms = bodies.read_time(body.effective_from, "effective_from")
    return SavePrice(model=model, price=written, effective_ms=effective_ms, reason=body.reason)


def _known_name(known: Known, name: str) -> str:
    found = known.find(name)
    if found is None:
        raise Refusal(Code.NOT_FOUND, f"no model is named {name[:256]!r}")
    return found


def _fields(version: Version) -> dict[str, Any]:  # the fields of Model
    return {
        "model_name": version.model,
        "version": str(version.id),
        **write_terms(version.terms),
        "effective_from": bodies.rfc3339(version.effective_ms),
        "reason": version.reason,
        "created_at": bodies.rfc3339(version.created_ms),
        "admin_id": version.actor,
        "source": version.source,
    }


def _states(versions: list[Version], now_ms: int) -> dict[int, str]:
    came = [one for one in versions if one.effective_ms <= max(now_ms, one.created_ms)]
    current = max(came, key=_order, default=None)
    last_at: dict[int, int] = {}
    for one in versions:
        last_at[one.effective_ms] = max(one.id, last_at.get(one.effective_ms, 0))
    states = {one.id: "past" for one in came}
    for one in versions:
        if one.id not in states:
            is_last = last_at[one.effective_ms] == one.id
            states[one.id] = "upcoming" if is_last else "replaced"
    if current is not None:
        states[current.id] = "current"
    return states


def _order(version: Version) -> tuple[int, int]:
    return version.effective_ms, version.id
