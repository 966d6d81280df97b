"""What answers about usage need beside sums: names of keys, who is idle, what is hot."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tallygate.store.analytics import Filter
from tallygate.store.database import Tx
from tallygate.store.money_schema import charge
from tallygate.store.people_schema import account, team
from tallygate.store.schema import api_key, key_secret, usage

NAMES_MAX = 500
MANY_KEYS = 8  # an eighth of all is many
HOT_ROWS_MAX = 20_000  # of the newest, to tell what is hot


@dataclass(frozen=True, slots=True)
class KeyName:
    """Who a key is, for people. A deleted one has a name still."""

    id: int
    kind: str
    label: str
    masked: str
    user_id: str
    team_id: str
    team: str
    created_ms: int
    last_used_ms: int | None
    is_active: bool
    is_deleted: bool
    models: str | None


_MASKED = (
    sa.select(key_secret.c.masked)
    .where(key_secret.c.key_id == api_key.c.id)
    .order_by(key_secret.c.created_ms.desc(), key_secret.c.hash)
    .limit(1)
    .scalar_subquery()
)
_NAMES = sa.select(
    *(api_key.c.id, api_key.c.kind, api_key.c.label, sa.func.coalesce(_MASKED, "").label("masked")),
    *(api_key.c.user_id, api_key.c.team_id, sa.func.coalesce(team.c.name, "").label("team")),
    *(api_key.c.created_ms, api_key.c.last_used_ms, api_key.c.is_active),
    *(api_key.c.deleted_ms.is_not(None).label("is_deleted"), api_key.c.models),
).outerjoin(team, team.c.id == api_key.c.team_id)


async def names(tx: Tx, ids: Collection[int]) -> dict[int, KeyName]:
    """Of the keys that there are or were."""
    found: dict[int, KeyName] = {}
    ordered = sorted(ids)
    for start in range(0, len(ordered), NAMES_MAX):
        query = _NAMES.where(api_key.c.id.in_(ordered[start : start + NAMES_MAX]))
        found |= {one.id: one for one in await _names(tx, query)}
    return found


async def model_lists(tx: Tx, ids: Collection[int]) -> dict[int, str]:
    """The models that keys may use, of those keys that may not use all."""
    found: dict[int, str] = {}
    ordered = sorted(ids)
    for start in range(0, len(ordered), NAMES_MAX):
        some = api_key.c.id.in_(ordered[start : start + NAMES_MAX])
        query = sa.select(api_key.c.id, api_key.c.models).where(some, api_key.c.models.is_not(None))
        found |= {row.id: row.models for row in await tx.execute(query)}
    return found


async def _names(tx: Tx, query: sa.Select[Any]) -> list[KeyName]:
    return [KeyName(**row) for row in (await tx.execute(query)).mappings()]


async def find_keys(tx: Tx, named: str, user_id: str | None) -> list[int]:
    """The key of this id, else those of exactly this name, deleted ones too; of one user's."""
    query = sa.select(api_key.c.id).limit(NAMES_MAX)
    if user_id is not None:
        query = query.where(api_key.c.user_id == user_id)
    if named.isascii() and named.isdecimal() and len(named) <= 18:
        by_id = query.where(api_key.c.id == int(named))
        if found := list((await tx.execute(by_id)).scalars()):
            return found
    return list((await tx.execute(query.where(api_key.c.label == named))).scalars())


async def find_team(tx: Tx, named: str) -> str | None:
    """A team's id, by its id or its name."""
    by_id = team.c.id == named
    query = sa.select(team.c.id).where(by_id | (team.c.name == named)).order_by(by_id.desc())
    return await tx.scalar(query.limit(1))  # type: ignore[no-any-return]  # a text column


async def has_many_keys(tx: Tx, team_id: str) -> bool:
    """Whether it has so many of all keys that its uses are found sooner among all of them."""
    theirs = sa.func.count().filter(api_key.c.team_id == team_id)
    query = sa.select(theirs * MANY_KEYS >= sa.func.count()).select_from(api_key)
    return bool(await tx.scalar(query))


async def user_names(tx: Tx, ids: Collection[str]) -> dict[str, str]:
    return await _texts(tx, account.c.id, account.c.name, sorted(ids))


async def team_names(tx: Tx, ids: Collection[str]) -> dict[str, str]:
    return await _texts(tx, team.c.id, team.c.name, sorted(ids))


async def _texts(
    tx: Tx, key: sa.Column[str], value: sa.Column[str], ids: Sequence[str]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(ids), NAMES_MAX):
        some = key.in_(ids[start : start + NAMES_MAX])
        query = sa.select(key.label("id"), value.label("name")).where(some)
        found |= {row.id: row.name for row in await tx.execute(query)}
    return found


async def idle_keys(
    tx: Tx, wanted: Filter, before_ms: int | None, *, limit: int, offset: int = 0
) -> tuple[list[KeyName], int]:
    """Keys that exist and were last used before that, the idlest first; None: never used."""
    conditions: list[sa.ColumnElement[bool]] = [api_key.c.deleted_ms.is_(None)]
    if wanted.key_ids is not None:
        conditions.append(api_key.c.id.in_(wanted.key_ids))
    if wanted.team_id is not None:
        conditions.append(api_key.c.team_id == wanted.team_id)
    if wanted.user_id is not None:
        conditions.append(api_key.c.user_id == wanted.user_id)
    used = api_key.c.last_used_ms
    conditions.append(used.is_(None) if before_ms is None else used < before_ms)
    total = await tx.scalar(sa.select(sa.func.count()).select_from(api_key).where(*conditions))
    order = (api_key.c.created_ms if before_ms is None else used, api_key.c.id)
    query = _NAMES.where(*conditions).order_by(*order).limit(limit).offset(offset)
    return await _names(tx, query), int(total)


async def newest(tx: Tx, wanted: Filter, since_ms: int) -> tuple[list[tuple[str, int, int]], bool]:
    """Route, uses and errors of the newest rows since then; whether those were all of them."""
    rows = (
        sa.select(usage.c.id, usage.c.at_ms, usage.c.key_id, usage.c.route)
        .add_columns(usage.c.model, usage.c.status, usage.c.duration_ms)
        .order_by(usage.c.id.desc())
        .limit(HOT_ROWS_MAX)
        .subquery()
    )
    ended_ms = rows.c.at_ms + rows.c.duration_ms  # a row comes at the end of its use
    is_recent = ended_ms >= since_ms
    errors = sa.func.sum(sa.case((rows.c.status >= 400, 1), else_=0)).label("errors")
    count = sa.func.count().label("uses")
    query = sa.select(rows.c.route, count, errors).where(is_recent)
    query = query.where(*wanted.conditions(rows, tx.dialect)).group_by(rows.c.route)  # type: ignore[arg-type]  # it has the columns
    found = [(row.route, int(row.uses), int(row.errors)) for row in await tx.execute(query)]
    first_ms = sa.func.min(ended_ms).label("first_ms")
    seen = (await tx.execute(sa.select(count, first_ms).select_from(rows))).one()
    return found, seen.uses < HOT_ROWS_MAX or seen.first_ms < since_ms


async def charged_elsewhere(tx: Tx, since_ms: int, account_id: str | None) -> int:
    """Micro-points charged since then for what did not come through a gateway's own answers."""
    conditions = [charge.c.at_ms >= since_ms, charge.c.source != "gateway"]
    if account_id is not None:
        conditions.append(charge.c.account_id == account_id)
    micros = sa.func.sum(charge.c.micros - charge.c.refunded_micros)
    query = sa.select(sa.func.coalesce(micros, 0)).where(
        *conditions, charge.c.state.in_(["charged", "refunded"])
    )
    return int(await tx.scalar(query))
