"""Teams and who is in them."""

from typing import Any

import sqlalchemy as sa

from tallygate.core.account_commands import TeamView
from tallygate.core.errors import Code, Refusal
from tallygate.store.database import Tx
from tallygate.store.people_schema import account, member, team
from tallygate.store.schema import api_key

_MEMBERS = (
    sa.select(sa.func.count()).where(member.c.team_id == team.c.id).correlate(team)
).scalar_subquery()
_VIEW = (team.c.id, team.c.name, team.c.created_ms, _MEMBERS.label("members"))


async def insert(tx: Tx, id_: str, name: str, now_ms: int) -> None:
    try:
        async with tx.savepoint():
            await tx.execute(sa.insert(team), {"id": id_, "name": name, "created_ms": now_ms})
    except sa.exc.IntegrityError as error:
        taken = f"there is a team with the id {id_!r} already"
        raise Refusal(Code.CONFLICT, taken, param="id") from error


async def rename(tx: Tx, id_: str, name: str) -> None:
    await tx.execute(sa.update(team).where(team.c.id == id_).values(name=name))


async def delete(tx: Tx, id_: str) -> None:
    """The team and its memberships; the accounts stay."""
    await tx.execute(sa.delete(member).where(member.c.team_id == id_))
    await tx.execute(sa.delete(team).where(team.c.id == id_))


async def count_keys(tx: Tx, id_: str) -> int:
    """Keys that exist and belong to the team."""
    query = sa.select(sa.func.count()).select_from(api_key)
    return int(
        await tx.scalar(query.where(api_key.c.team_id == id_, api_key.c.deleted_ms.is_(None)))
    )


async def add_member(tx: Tx, id_: str, account_id: str) -> None:
    try:
        async with tx.savepoint():
            await tx.execute(sa.insert(member), {"team_id": id_, "account_id": account_id})
    except sa.exc.IntegrityError as error:
        raise Refusal(Code.CONFLICT, f"{account_id!r} is in this team already") from error


async def remove_member(tx: Tx, id_: str, account_id: str) -> bool:
    """False when the account is not in the team."""
    is_there = sa.and_(member.c.team_id == id_, member.c.account_id == account_id)
    return (await tx.execute(sa.delete(member).where(is_there))).rowcount == 1


async def find(tx: Tx, id_: str) -> TeamView | None:
    row = (await tx.execute(sa.select(*_VIEW).where(team.c.id == id_))).first()
    return None if row is None else _view(row)


async def page(tx: Tx, *, limit: int, offset: int = 0) -> tuple[list[TeamView], int]:
    """Teams by name, and how many there are."""
    query = sa.select(*_VIEW).order_by(team.c.name, team.c.id).limit(limit).offset(offset)
    found = [_view(row) for row in await tx.execute(query)]
    return found, int(await tx.scalar(sa.select(sa.func.count()).select_from(team)))


async def teams_of(tx: Tx, account_id: str) -> list[tuple[str, str]]:
    """Ids and names of the teams that an account is in."""
    query = sa.select(team.c.id, team.c.name).join(member, member.c.team_id == team.c.id)
    query = query.where(member.c.account_id == account_id).order_by(team.c.name, team.c.id)
    return [(row.id, row.name) for row in await tx.execute(query)]


async def members(tx: Tx, id_: str) -> list[tuple[str, str, str | None]]:
    """Ids, names and addresses of who is in the team."""
    query = sa.select(account.c.id, account.c.name, account.c.email)
    query = query.join(member, member.c.account_id == account.c.id)
    query = query.where(member.c.team_id == id_).order_by(account.c.name, account.c.id)
    return [(row.id, row.name, row.email) for row in await tx.execute(query)]


def _view(row: sa.Row[Any]) -> TeamView:
    return TeamView(id=row.id, name=row.name, created_ms=row.created_ms, members=row.members)
