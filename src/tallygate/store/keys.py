"""Keys and their secrets: looked up by hash for admission, shown to operators, changed, forgotten.

A key is never erased: `deleted_ms` makes it unknown to everyone, while its history stays.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tallygate.core.commands import KeyView
from tallygate.core.keys import hash_key
from tallygate.core.limits import Limit
from tallygate.core.ports import Key
from tallygate.store import limits as limit_rows
from tallygate.store.database import Tx
from tallygate.store.money_schema import wallet
from tallygate.store.people_schema import account
from tallygate.store.schema import api_key, key_secret, limits

ID_DIGITS_MAX = 18  # whatever is longer is no id of ours
PAGE_MAX = 1000

_encode = msgspec.json.encode
_ACCOUNT_COLUMNS = (
    wallet.c.id.label("wallet_id"),
    account.c.is_active.label("is_account_active"),
)


def _json(value: Sequence[str] | None) -> str | None:
    return None if value is None else _encode(list(value)).decode()


def _strings(text: str | None) -> list[str] | None:
    return None if text is None else msgspec.json.decode(text, type=list[str])


async def insert_key(
    tx: Tx,
    *,
    kind: str,
    label: str,
    now_ms: int,
    is_active: bool = True,
    created_ms: int | None = None,
    expires_ms: int | None = None,
    user_id: str = "",
    team_id: str = "",
    models: Sequence[str] | None = None,
    addresses: Sequence[str] | None = None,
    scopes: Sequence[str] = (),
) -> int:
    """The new key's id. It has no secret and no limit yet."""
    values = {
        "kind": kind,
        "label": label,
        "is_active": is_active,
        "created_ms": now_ms if created_ms is None else created_ms,
        "expires_ms": expires_ms,
        "user_id": user_id,
        "team_id": team_id,
        "models": _json(models),
        "addresses": _json(addresses),
        "scopes": _json(scopes),
    }
    return int(await tx.scalar(sa.insert(api_key).returning(api_key.c.id), values))


async def add_secret(
    tx: Tx,
    key_id: int,
    *,
    key_hash: bytes,
    masked: str,
    sealed: bytes | None,
    now_ms: int,
    expires_ms: int | None = None,
) -> None:
    values = {"hash": key_hash, "key_id": key_id, "masked": masked, "sealed": sealed}
    times = {"created_ms": now_ms, "expires_ms": expires_ms}
    await tx.execute(sa.insert(key_secret), {**values, **times})


async def expire_secrets(tx: Tx, key_id: int, expires_ms: int) -> None:
    """Let every secret a key has now end then, unless it ends earlier: the grace of a rotation."""
    is_later = sa.or_(key_secret.c.expires_ms.is_(None), key_secret.c.expires_ms > expires_ms)
    statement = sa.update(key_secret).where(key_secret.c.key_id == key_id, is_later)
    await tx.execute(statement.values(expires_ms=expires_ms))


async def find_by_hash(tx: Tx, key_hash: bytes, now_ms: int) -> Key | None:
    """What admission needs. None: no such secret, its grace is over, or its key is deleted.

    The key of an account that is switched off is not active; a `user_id` that names no account
    has no wallet, so its use is charged to nobody.
    """
    query = (
        sa.select(api_key, key_secret.c.expires_ms.label("secret_expires_ms"), *_ACCOUNT_COLUMNS)
        .join(key_secret, key_secret.c.key_id == api_key.c.id)
        .outerjoin(account, account.c.id == api_key.c.user_id)
        .outerjoin(wallet, wallet.c.account_id == account.c.id)
        .where(key_secret.c.hash == key_hash, api_key.c.deleted_ms.is_(None))
    )
    row = (await tx.execute(query)).first()
    if row is None or (row.secret_expires_ms is not None and row.secret_expires_ms <= now_ms):
        return None
    subjects = (
        (limit_rows.KEY, str(row.id)),
        (limit_rows.USER, row.user_id),
        (limit_rows.TEAM, row.team_id),
    )
    ends = [end for end in (row.expires_ms, row.secret_expires_ms) if end is not None]
    models, addresses = _strings(row.models), _strings(row.addresses)
    return Key(
        id=row.id,
        tenant_id=row.tenant_id,
        kind=row.kind,
        is_active=row.is_active and row.is_account_active is not False,
        expires_ms=min(ends, default=None),
        user_id=row.user_id,
        team_id=row.team_id,
        models=None if models is None else tuple(models),
        addresses=None if addresses is None else tuple(addresses),
        scopes=tuple(_strings(row.scopes) or ()),
        limits=tuple(await limit_rows.of_subjects(tx, subjects)),
        wallet_id=row.wallet_id or 0,
    )


async def find_view(tx: Tx, key_or_id: str) -> KeyView | None:
    """By its id, or by a whole secret (one in its grace too); a deleted key is not found."""
    if key_or_id.isascii() and key_or_id.isdigit() and len(key_or_id) <= ID_DIGITS_MAX:
        found = await _views(tx, api_key.c.id == int(key_or_id), 1)
        if found:
            return found[0]
    secret = sa.select(key_secret.c.key_id).where(
        key_secret.c.hash == hash_key(key_or_id.encode("utf-8", "surrogateescape"))
    )
    found = await _views(tx, api_key.c.id.in_(secret), 1)
    return found[0] if found else None


async def list_views(tx: Tx, limit: int | None = None, after_id: int = 0) -> list[KeyView]:
    """Keys that exist, by id; `after_id` is the last one of the page before. None: all of them."""
    return await _views(tx, api_key.c.id > after_id, limit)


async def list_of_user(tx: Tx, user_id: str) -> list[KeyView]:
    """The keys that exist and belong to this user, by id."""
    return await _views(tx, api_key.c.user_id == user_id, None)


async def views_of(tx: Tx, ids: Sequence[int]) -> list[KeyView]:
    """These keys, in this order; those that are deleted are left out."""
    found = {view.id: view for view in await _views(tx, api_key.c.id.in_(ids), None)}
    return [found[id_] for id_ in ids if id_ in found]


async def teams_of(tx: Tx, ids: Sequence[int]) -> dict[int, str]:
    """Each key's team, or nothing; keys that were deleted have theirs still."""
    columns = (api_key.c.id, api_key.c.team_id)
    rows = await tx.execute(sa.select(*columns).where(api_key.c.id.in_(ids)))
    return {row.id: row.team_id for row in rows}


async def ids_of(tx: Tx, subject_kind: str, subject_id: str, most: int) -> list[int]:
    """The keys that belong to a user or a team, `most` of them at most."""
    owner = api_key.c.user_id if subject_kind == limit_rows.USER else api_key.c.team_id
    query = sa.select(api_key.c.id).where(owner == subject_id, api_key.c.deleted_ms.is_(None))
    return list((await tx.execute(query.order_by(api_key.c.id).limit(most))).scalars())


async def _views(tx: Tx, condition: sa.ColumnElement[bool], limit: int | None) -> list[KeyView]:
    query = sa.select(api_key).where(condition, api_key.c.deleted_ms.is_(None))
    rows = (await tx.execute(query.order_by(api_key.c.id).limit(limit))).all()
    if not rows:
        return []
    first, last = rows[0].id, rows[-1].id
    secrets = await _newest_secrets(tx, first, last)
    owned = await _own_limits(tx, {str(row.id) for row in rows})
    return [_view(row, *secrets.get(row.id, ("", None)), owned.get(row.id, [])) for row in rows]


async def _newest_secrets(tx: Tx, first: int, last: int) -> dict[int, tuple[str, bytes | None]]:
    columns = (key_secret.c.key_id, key_secret.c.masked, key_secret.c.sealed)
    query = sa.select(*columns).where(key_secret.c.key_id.between(first, last))
    order = (key_secret.c.created_ms, key_secret.c.expires_ms.is_(None))
    return {
        row.key_id: (row.masked, row.sealed) for row in await tx.execute(query.order_by(*order))
    }


async def _own_limits(tx: Tx, subject_ids: set[str]) -> dict[int, list[tuple[bool, Limit]]]:
    """Limits of keys themselves; many keys are asked for all at once, few by name."""
    query = sa.select(limits).where(
        limits.c.subject_kind == limit_rows.KEY, limits.c.deleted_ms.is_(None)
    )
    if len(subject_ids) <= PAGE_MAX:
        query = query.where(limits.c.subject_id.in_(subject_ids))
    found: dict[int, list[tuple[bool, Limit]]] = {}
    for row in await tx.execute(query.order_by(limits.c.id)):
        found.setdefault(int(row.subject_id), []).append((row.is_daily, limit_rows.limit_of(row)))
    return found


def _view(
    row: sa.Row[Any], masked: str, sealed: bytes | None, owned: list[tuple[bool, Limit]]
) -> KeyView:
    daily = next((limit for is_daily, limit in owned if is_daily), None)
    return KeyView(
        id=row.id,
        kind=row.kind,
        masked=masked,
        label=row.label,
        created_ms=row.created_ms,
        daily_limit=daily.amount if daily else None,
        has_daily_limit=daily is not None,
        limits=[limit for is_daily, limit in owned if not is_daily],
        is_active=row.is_active,
        expires_ms=row.expires_ms,
        last_used_ms=row.last_used_ms,
        user_id=row.user_id,
        team_id=row.team_id,
        models=_strings(row.models),
        addresses=_strings(row.addresses),
        scopes=_strings(row.scopes) or [],
        sealed=sealed,
    )


async def patch(tx: Tx, key_id: int, **changes: Any) -> bool:
    """Set columns by name: label, is_active, expires_ms, models … team_id. False: no such key."""
    assert changes.keys() <= {
        *("label", "is_active", "expires_ms", "models", "addresses", "scopes", "team_id"),
    }, "what else a key has is changed elsewhere"
    for name in changes.keys() & {"models", "addresses", "scopes"}:
        changes[name] = _json(changes[name])
    is_there = sa.and_(api_key.c.id == key_id, api_key.c.deleted_ms.is_(None))
    if not changes:
        return bool(await tx.scalar(sa.select(sa.func.count()).where(is_there)))
    return (await tx.execute(sa.update(api_key).where(is_there).values(changes))).rowcount == 1


async def delete(tx: Tx, key_id: int, now_ms: int) -> bool:
    """False when it is already deleted, or never was."""
    is_there = sa.and_(api_key.c.id == key_id, api_key.c.deleted_ms.is_(None))
    statement = sa.update(api_key).where(is_there).values(deleted_ms=now_ms)
    return (await tx.execute(statement)).rowcount == 1


async def unused_since(tx: Tx, before_ms: int) -> list[int]:
    """Active keys not used since then, keys younger than that spared."""
    query = sa.select(api_key.c.id).where(
        api_key.c.deleted_ms.is_(None),
        api_key.c.is_active,
        api_key.c.created_ms < before_ms,
        sa.or_(api_key.c.last_used_ms.is_(None), api_key.c.last_used_ms < before_ms),
    )
    return list((await tx.execute(query.order_by(api_key.c.id))).scalars())


_TOUCH = (
    sa.update(api_key)
    .where(
        api_key.c.id == sa.bindparam("key"),
        sa.or_(api_key.c.last_used_ms.is_(None), api_key.c.last_used_ms < sa.bindparam("at_ms")),
    )
    .values(last_used_ms=sa.bindparam("at_ms"))
)


async def touch_last_used(tx: Tx, used_ms: Mapping[int, int]) -> None:
    """Key id → when it was last used; the time only ever moves forward."""
    if used_ms:
        rows = [{"key": key_id, "at_ms": at_ms} for key_id, at_ms in sorted(used_ms.items())]
        await tx.later(_TOUCH, rows)
