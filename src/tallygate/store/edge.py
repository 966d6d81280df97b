"""What the edge should know, out of the store: documents of tokens and of routes, with their texts.

A token is known there as admission knows it here (keys.find_by_hash): a deleted one, or a rotated
secret whose grace is over, has no document.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tallygate.core.edge import (
    EdgeRoutes,
    EdgeToken,
    limits_of,
    routes_of,
    text_of,
    token_name,
)
from tallygate.core.keys import Kind
from tallygate.core.limits import Limit
from tallygate.core.routes import Route
from tallygate.store import limits as limit_rows
from tallygate.store import routes
from tallygate.store.database import Tx
from tallygate.store.people_schema import account
from tallygate.store.schema import api_key, key_secret, limits

ROUTES_MAX = 100_000


class Document(msgspec.Struct, frozen=True):
    """One name in KV and what is to be there; `key_id` 0: the routes."""

    name: str
    key_id: int
    text: str
    revokes: bool


async def tokens(tx: Tx, key_ids: Sequence[int], now_ms: int) -> list[Document]:
    """The documents of these keys, as far as they are tokens that exist."""
    rows = (await tx.execute(_secrets(now_ms).where(api_key.c.id.in_(key_ids)))).all()
    limited = await _limits(tx, rows)
    return [_document(row, limited) for row in rows]


async def key_ids_after(tx: Tx, after_id: int, limit: int) -> list[int]:
    """Tokens that exist, page by page."""
    is_token = sa.and_(api_key.c.kind == Kind.TOKEN.value, api_key.c.deleted_ms.is_(None))
    query = sa.select(api_key.c.id).where(is_token, api_key.c.id > after_id)
    return list((await tx.execute(query.order_by(api_key.c.id).limit(limit))).scalars())


async def routes_document(tx: Tx, master_key: bytes, edge_key: bytes | None) -> EdgeRoutes:
    served, shut_names = await routes.load(tx, master_key)
    shut: dict[int, Route] = {}
    if shut_names:
        views, _ = await routes.page(tx, limit=ROUTES_MAX)
        known = {route.id for route in served}
        shut = {
            one.id: Route(
                id=one.id,
                path=one.path,
                backend_url=one.backend_url,
                scope=one.scope,
                methods=tuple(one.methods),
                host=one.host,
            )
            for one in views
            if one.is_active and one.id not in known
        }
    return routes_of(served, shut, edge_key)


async def keys_of_limits(tx: Tx, limit_ids: Iterable[int]) -> tuple[set[int], bool]:
    """The keys whose documents these limits are in, and whether those of routes are."""
    columns = (limits.c.subject_kind, limits.c.subject_id)
    found = (await tx.execute(sa.select(*columns).where(limits.c.id.in_(list(limit_ids))))).all()
    keys = {int(one.subject_id) for one in found if one.subject_kind == limit_rows.KEY}
    for kind, column in (
        (limit_rows.USER, api_key.c.user_id),
        (limit_rows.TEAM, api_key.c.team_id),
    ):
        owners = [one.subject_id for one in found if one.subject_kind == kind]
        if owners:
            query = sa.select(api_key.c.id).where(column.in_(owners))
            keys |= set((await tx.execute(query)).scalars())
    return keys, any(one.subject_kind in (routes.ROUTE, routes.ROUTE_TOKEN) for one in found)


def _secrets(now_ms: int) -> sa.Select[Any]:
    """Each secret of each token that exists."""
    columns = (
        *(api_key.c.id, api_key.c.is_active, api_key.c.expires_ms, api_key.c.scopes),
        *(api_key.c.addresses, api_key.c.user_id, api_key.c.team_id, key_secret.c.hash),
        key_secret.c.expires_ms.label("ends_ms"),
        account.c.is_active.label("is_account_active"),
    )
    is_alive = sa.or_(key_secret.c.expires_ms.is_(None), key_secret.c.expires_ms > now_ms)
    return (
        sa.select(*columns)
        .join(key_secret, key_secret.c.key_id == api_key.c.id)
        .outerjoin(account, account.c.id == api_key.c.user_id)
        .where(api_key.c.kind == Kind.TOKEN.value, api_key.c.deleted_ms.is_(None), is_alive)
    )


async def _limits(tx: Tx, rows: Sequence[Any]) -> Mapping[tuple[str, str], list[Limit]]:
    wanted = {
        limit_rows.KEY: {str(row.id) for row in rows},
        limit_rows.USER: {row.user_id for row in rows if row.user_id},
        limit_rows.TEAM: {row.team_id for row in rows if row.team_id},
    }
    found: dict[tuple[str, str], list[Limit]] = {}
    for kind, ids in wanted.items():
        if not ids:
            continue
        query = sa.select(limits).where(
            limits.c.subject_kind == kind,
            limits.c.subject_id.in_(ids),
            limits.c.deleted_ms.is_(None),
        )
        for row in await tx.execute(query.order_by(limits.c.id)):
            found.setdefault((kind, row.subject_id), []).append(limit_rows.limit_of(row))
    return found


def _document(row: Any, limited: Mapping[tuple[str, str], list[Limit]]) -> Document:
    subjects = (
        (limit_rows.KEY, str(row.id)),
        (limit_rows.USER, row.user_id),
        (limit_rows.TEAM, row.team_id),
    )
    mine = [limit for subject in subjects for limit in limited.get(subject, ())]
    token = EdgeToken(
        scopes=tuple(msgspec.json.decode(row.scopes, type=list[str])),
        is_active=row.is_active and row.is_account_active is not False,
        expires_ms=row.expires_ms,
        ends_ms=row.ends_ms,
        addresses=_names(row.addresses),
        limits=limits_of(mine),
    )
    return Document(token_name(bytes(row.hash)), row.id, text_of(token), token.revokes)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(msgspec.json.decode(text, type=list[str]))
