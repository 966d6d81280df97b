"""/api/teams: groups of accounts, which keys can belong to and limits can be set for."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import bodies, lists
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.account_commands import (
    AddMember,
    CreateTeam,
    DeleteTeam,
    PatchTeam,
    RemoveMember,
    TeamView,
)
from tallygate.core.errors import Code, Refusal
from tallygate.store import teams

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class NewTeam(bodies.Body, kw_only=True):
    """`id` is made if it is left out."""

    name: Name
    id: Id | None = None


class TeamChange(bodies.Body, kw_only=True):
    name: Name


class NewMember(bodies.Body, kw_only=True):
    user_id: Id


class Team(msgspec.Struct, kw_only=True):
    """`members` counts them."""

    id: str
    name: str
    members: int
    created_at: str


class Member(msgspec.Struct, kw_only=True):
    """An account that is in a team."""

    user_id: str
    name: str
    email: str | None


class DeletedTeam(msgspec.Struct, kw_only=True):
    deleted: bool = True


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/teams", tags=["teams"])
    _teams(router, parts)
    _members(router, parts)
    return router


def _teams(router: APIRouter, parts: Parts) -> None:
    @router.get("", **described(lists.Page[Team]))
    async def list_teams(limit: str | None = None, cursor: str | None = None) -> Response:
        """Every team, by name."""
        size, start = lists.read_limit(limit), lists.read_cursor(cursor) or 0
        async with parts.database.reading() as tx:
            found, total = await teams.page(tx, limit=size, offset=start)
        following = str(start + size) if start + size < total else None
        items = [team(view) for view in found]
        return bodies.answer(lists.Page(items=items, total=total, next=following))

    @router.post("", **described(Team, status=201, body=NewTeam))
    async def create_team(request: Request) -> Response:
        """Make a team."""
        body = await bodies.read(request, NewTeam)
        change = CreateTeam(name=body.name, id=body.id)
        return bodies.answer(team(await order(parts.clerk, request, change, TeamView)), 201)

    @router.get("/{id}", **described(Team))
    async def show_team(id: str) -> Response:
        """One team."""
        async with parts.database.reading() as tx:
            view = await teams.find(tx, id)
        return bodies.answer(team(_there(view)))

    @router.patch("/{id}", **described(Team, body=TeamChange))
    async def change_team(request: Request, id: str) -> Response:
        """Rename a team."""
        body = await bodies.read(request, TeamChange)
        change = PatchTeam(id=id, name=body.name)
        return bodies.answer(team(await order(parts.clerk, request, change, TeamView)))

    @router.delete("/{id}", **described(DeletedTeam))
    async def delete_team(request: Request, id: str) -> Response:
        """Delete a team that no key belongs to; its members stay."""
        await order(parts.clerk, request, DeleteTeam(id=id), TeamView)
        return bodies.answer(DeletedTeam())


def _members(router: APIRouter, parts: Parts) -> None:
    @router.get("/{id}/members", **described(lists.Page[Member]))
    async def list_members(
        id: str, limit: str | None = None, cursor: str | None = None
    ) -> Response:
        """Who is in a team, by name."""
        async with parts.database.reading() as tx:
            _there(await teams.find(tx, id))
            rows = await teams.members(tx, id)
        found = [Member(user_id=one[0], name=one[1], email=one[2]) for one in rows]
        return bodies.answer(lists.cut(found, limit, cursor))

    @router.post("/{id}/members", **described(Team, status=201, body=NewMember))
    async def add_member(request: Request, id: str) -> Response:
        """Take an account into a team."""
        body = await bodies.read(request, NewMember)
        change = AddMember(team_id=id, account_id=body.user_id)
        return bodies.answer(team(await order(parts.clerk, request, change, TeamView)), 201)

    @router.delete("/{id}/members/{user_id}", **described(Team))
    async def remove_member(request: Request, id: str, user_id: str) -> Response:
        """Take an account out of a team."""
        change = RemoveMember(team_id=id, account_id=user_id)
        return bodies.answer(team(await order(parts.clerk, request, change, TeamView)))


def _there(view: TeamView | None) -> TeamView:
    if view is None:
        raise Refusal(Code.NOT_FOUND, "there is no such team")
    return view


def team(view: TeamView) -> Team:
    created_at = bodies.rfc3339(view.created_ms) or ""
    return Team(id=view.id, name=view.name, members=view.members, created_at=created_at)
