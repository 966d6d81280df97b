"""Routes: rows, their limits, and what gateways are told of them.

The values of request headers that a route adds are sealed: they are mostly the backend's own
credential. A limit `for each token` is a template: a token gets a row of its own, by `share_of`,
when it first comes by, for counters belong to a row.
"""

import secrets
from typing import Any

import msgspec
import sqlalchemy as sa

from tallygate.core import sealing
from tallygate.core.errors import Code, Refusal
from tallygate.core.limits import Limit
from tallygate.core.route_checks import CREDENTIAL_HEADER, header_of
from tallygate.core.route_commands import HeaderSpec, RouteView
from tallygate.core.routes import Deadlines, HeaderRules, PoolUse, Route
from tallygate.store import limits as limit_rows
from tallygate.store.database import Tx
from tallygate.store.limits import NewLimit, limit_of
from tallygate.store.routes_schema import route as _rows
from tallygate.store.schema import limits

ROUTE, ROUTE_TOKEN, SHARE = "route", "route_token", "route_share"  # subject_kind of limits
_OF_CREDENTIALS = ("credentials", "credential_header", "credential_query")
_TIMES = ("connect_ms", "first_byte_ms", "between_bytes_ms", "total_ms")


class _Rules(msgspec.Struct, omit_defaults=True):
    """Both kinds of header rules as they are kept, added request headers by name only; and which
    pool's credentials go where."""

    request: HeaderSpec = msgspec.field(default_factory=HeaderSpec)
    response: HeaderSpec = msgspec.field(default_factory=HeaderSpec)
    credentials: str = ""
    credential_header: str = ""
    credential_query: str = ""


async def page(tx: Tx, *, limit: int, offset: int = 0) -> tuple[list[RouteView], int]:
    """Routes by host and path, and how many there are."""
    query = sa.select(_rows).order_by(_rows.c.host, _rows.c.path).limit(limit).offset(offset)
    found = (await tx.execute(query)).all()
    limited = await _limits(tx, [str(row.id) for row in found])
    total = int(await tx.scalar(sa.select(sa.func.count()).select_from(_rows)))
    return [_view(row, limited) for row in found], total


async def find(tx: Tx, id_: int) -> RouteView | None:
    row = (await tx.execute(sa.select(_rows).where(_rows.c.id == id_))).first()
    return None if row is None else _view(row, await _limits(tx, [str(id_)]))


async def insert(tx: Tx, view: RouteView, secrets_added: dict[str, str], master_key: bytes) -> int:
    """Its id; CONFLICT when another has this host and path. `view.id` is not looked at."""
    statement = sa.insert(_rows).returning(_rows.c.id)
    values = {**_values(view), "created_ms": view.created_ms}
    try:
        async with tx.savepoint():
            id_ = int(await tx.scalar(statement, values))
    except sa.exc.IntegrityError as error:
        raise _taken(view) from error
    await _seal(tx, id_, secrets_added, master_key)
    return id_


async def update(tx: Tx, view: RouteView, secrets_added: dict[str, str], master_key: bytes) -> None:
    try:
        async with tx.savepoint():
            changed = sa.update(_rows).where(_rows.c.id == view.id)
            await tx.execute(changed.values(**_values(view)))
    except sa.exc.IntegrityError as error:
        raise _taken(view) from error
    await _seal(tx, view.id, secrets_added, master_key)


async def added_values(tx: Tx, id_: int, master_key: bytes) -> dict[str, str]:
    """The request headers that a route adds, opened; Unsealable with another master key."""
    sealed = await tx.scalar(sa.select(_rows.c.sealed).where(_rows.c.id == id_))
    return _unsealed(id_, sealed, master_key)


async def set_limits(
    tx: Tx, id_: int, for_all: list[NewLimit], for_each: list[NewLimit], now_ms: int
) -> list[int]:
    """The ids of limits that changed, those of tokens' shares with them."""
    changed = await limit_rows.replace(tx, ROUTE, str(id_), for_all, now_ms)
    templates = await limit_rows.replace(tx, ROUTE_TOKEN, str(id_), for_each, now_ms)
    for template_id in templates:
        changed += await _renew_shares(tx, template_id, now_ms)
    return sorted(changed)


async def delete(tx: Tx, id_: int, now_ms: int) -> list[int]:
    """The ids of the limits that go with it."""
    gone = await set_limits(tx, id_, [], [], now_ms)
    await tx.execute(sa.delete(_rows).where(_rows.c.id == id_))
    return gone


async def share_of(tx: Tx, template_id: int, key_id: int, now_ms: int) -> Limit | None:
    """A token's own limit under a template; None when the template is gone."""
    is_template = sa.and_(
        limits.c.id == template_id,
        limits.c.subject_kind == ROUTE_TOKEN,
        limits.c.deleted_ms.is_(None),
    )
    # Locked: two nodes that meet a token at once must agree on one row.
    query = sa.select(limits).where(is_template).with_for_update()
    template = (await tx.execute(query)).first()
    if template is None:
        return None
    limit = limit_of(template)
    wanted = NewLimit(limit.dimension, limit.span, limit.zone, limit.amount)
    await limit_rows.replace(tx, SHARE, f"{template_id}:{key_id}", [wanted], now_ms)
    found = await limit_rows.of_subjects(tx, [(SHARE, f"{template_id}:{key_id}")])
    return found[0]


async def load(tx: Tx, master_key: bytes) -> tuple[tuple[Route, ...], list[str]]:
    """What gateways serve, and the paths of those left out because their headers stay shut."""
    found = (await tx.execute(sa.select(_rows).where(_rows.c.is_active).order_by(_rows.c.id))).all()
    limited = await _limits(tx, None) if found else {}
    routes, shut = [], []
    for row in found:
        try:
            routes.append(_route(row, limited, master_key))
        except sealing.Unsealable:
            shut.append(f"{row.host}{row.path}")
    return tuple(routes), shut


async def _renew_shares(tx: Tx, template_id: int, now_ms: int) -> list[int]:
    """Tokens' shares follow their template: another amount, or the end."""
    amount_query = sa.select(limits.c.amount, limits.c.deleted_ms).where(limits.c.id == template_id)
    template = (await tx.execute(amount_query)).one()
    is_share = sa.and_(
        limits.c.subject_kind == SHARE,
        limits.c.subject_id.startswith(f"{template_id}:", autoescape=True),
        limits.c.deleted_ms.is_(None),
    )
    values = {"amount": template.amount, "deleted_ms": template.deleted_ms}
    statement = sa.update(limits).where(is_share).values(values).returning(limits.c.id)
    return list((await tx.execute(statement)).scalars())


async def _limits(tx: Tx, ids: list[str] | None) -> dict[tuple[str, str], list[Limit]]:
    """Of these routes, or of all, by subject."""
    query = sa.select(limits).where(
        limits.c.subject_kind.in_((ROUTE, ROUTE_TOKEN)), limits.c.deleted_ms.is_(None)
    )
    if ids is not None:
        query = query.where(limits.c.subject_id.in_(ids))
    found: dict[tuple[str, str], list[Limit]] = {}
    for row in await tx.execute(query.order_by(limits.c.id)):
        found.setdefault((row.subject_kind, row.subject_id), []).append(limit_of(row))
    return found


def _taken(view: RouteView) -> Refusal:
    place = f"{view.host}{view.path}"
    return Refusal(Code.CONFLICT, f"there is a route for {place} already", param="path")


def _values(view: RouteView) -> dict[str, Any]:
    request = view.request_headers
    names = HeaderSpec(
        remove=request.remove, rename=request.rename, add=dict.fromkeys(request.add, None)
    )
    used = {name: getattr(view, name) for name in _OF_CREDENTIALS}
    rules = _Rules(names, view.response_headers, **used)
    plain = ("path", "host", "backend_url", "scope", "strip_prefix", "rewrite", "is_active")
    return {
        **{name: getattr(view, name) for name in (*plain, *_TIMES)},
        "methods": msgspec.json.encode(view.methods).decode(),
        "rules": msgspec.json.encode(rules).decode(),
    }


async def _seal(tx: Tx, id_: int, added: dict[str, str], master_key: bytes) -> None:
    sealed = None
    if added:
        nonce = secrets.token_bytes(sealing.NONCE_BYTES)
        sealed = sealing.seal(master_key, msgspec.json.encode(added), purpose(id_), nonce)
    await tx.execute(sa.update(_rows).where(_rows.c.id == id_).values(sealed=sealed))


def _unsealed(id_: int, sealed: bytes | None, master_key: bytes) -> dict[str, str]:
    if sealed is None:
        return {}
    opened = sealing.unseal(master_key, bytes(sealed), purpose(id_))
    return msgspec.json.decode(opened, type=dict[str, str])


def purpose(id_: int) -> str:
    return f"route.sealed:{id_}"


def _view(row: Any, limited: dict[tuple[str, str], list[Limit]]) -> RouteView:  # SQLAlchemy's row
    rules = msgspec.json.decode(row.rules, type=_Rules)
    return RouteView(
        id=row.id,
        path=row.path,
        backend_url=row.backend_url,
        scope=row.scope,
        methods=msgspec.json.decode(row.methods, type=list[str]),
        host=row.host,
        strip_prefix=row.strip_prefix,
        rewrite=row.rewrite,
        request_headers=rules.request,
        response_headers=rules.response,
        limits=limited.get((ROUTE, str(row.id)), []),
        token_limits=limited.get((ROUTE_TOKEN, str(row.id)), []),
        is_active=row.is_active,
        created_ms=row.created_ms,
        **{name: getattr(rules, name) for name in _OF_CREDENTIALS},
        **{name: getattr(row, name) for name in _TIMES},
    )


def _route(row: Any, limited: dict[tuple[str, str], list[Limit]], master_key: bytes) -> Route:
    view = _view(row, limited)
    added = _unsealed(row.id, row.sealed, master_key)
    response = {name: value or "" for name, value in view.response_headers.add.items()}
    return Route(
        id=view.id,
        path=view.path,
        backend_url=view.backend_url,
        scope=view.scope,
        methods=tuple(view.methods),
        host=view.host,
        strip_prefix=view.strip_prefix,
        rewrite=view.rewrite,
        request_headers=_rules(view.request_headers, added),
        response_headers=_rules(view.response_headers, response),
        limits=tuple(view.limits),
        token_limits=tuple(view.token_limits),
        deadlines=Deadlines(*(getattr(view, name) for name in _TIMES)),
        credentials=_pool_use(view),
    )


def _pool_use(view: RouteView) -> PoolUse | None:
    """Its members are found when all pools are opened."""
    if not view.credentials:
        return None
    if view.credential_query:
        return PoolUse(view.credentials, parameter=view.credential_query)
    name, template = header_of(view.credential_header or CREDENTIAL_HEADER)
    return PoolUse(view.credentials, name, template)


def _rules(spec: HeaderSpec, added: dict[str, str]) -> HeaderRules:
    return HeaderRules(tuple(spec.remove), spec.rename, added)
