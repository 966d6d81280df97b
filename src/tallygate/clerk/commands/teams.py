"""Teams: made, renamed, deleted; who is in them."""

from collections.abc import Awaitable, Callable
from typing import Any

from tallygate.clerk.commands.context import Context, bad
from tallygate.core import account_commands as known
from tallygate.core.account_commands import TeamView
from tallygate.core.accounts import flaw_of_id, flaw_of_name
from tallygate.core.commands import Arguments
from tallygate.core.errors import Code, Refusal
from tallygate.core.keys import make_id
from tallygate.store import accounts, teams

ID_ENTROPY_BYTES = 16


async def create(context: Context, wanted: known.CreateTeam) -> TeamView:
    id_ = wanted.id if wanted.id is not None else make_id("team", context.entropy(ID_ENTROPY_BYTES))
    if flaw := flaw_of_id(id_):
        raise bad(f"id: {flaw}", "id")
    _check_name(wanted.name)
    await teams.insert(context.tx, id_, wanted.name, context.now_ms)
    view = await _find(context, id_)
    await context.audit("team.create", f"team:{id_}", None, view)
    return view


async def patch(context: Context, change: known.PatchTeam) -> TeamView:
    before = await _find(context, change.id)
    _check_name(change.name)
    await teams.rename(context.tx, before.id, change.name)
    after = await _find(context, before.id)
    await context.audit("team.patch", f"team:{before.id}", before, after)
    return after


async def delete(context: Context, wanted: known.DeleteTeam) -> TeamView:
    before = await _find(context, wanted.id)
    if count := await teams.count_keys(context.tx, before.id):
        keys = "1 key belongs" if count == 1 else f"{count} keys belong"
        raise Refusal(Code.CONFLICT, f"{keys} to this team; delete them first")
    await teams.delete(context.tx, before.id)
    await context.audit("team.delete", f"team:{before.id}", before, None)
    return before


async def add_member(context: Context, wanted: known.AddMember) -> TeamView:
    before = await _find(context, wanted.team_id)
    if await accounts.find(context.tx, wanted.account_id) is None:
        raise Refusal(Code.NOT_FOUND, "there is no such user")
    await teams.add_member(context.tx, before.id, wanted.account_id)
    added = {"member": wanted.account_id}
    await context.audit("team.add_member", f"team:{before.id}", None, added)
    return await _find(context, before.id)


async def remove_member(context: Context, wanted: known.RemoveMember) -> TeamView:
    before = await _find(context, wanted.team_id)
    if not await teams.remove_member(context.tx, before.id, wanted.account_id):
        raise Refusal(Code.NOT_FOUND, "this user is not in the team")
    removed = {"member": wanted.account_id}
    await context.audit("team.remove_member", f"team:{before.id}", removed, None)
    return await _find(context, before.id)


async def _find(context: Context, id_: str) -> TeamView:
    view = await teams.find(context.tx, id_)
    if view is None:
        raise Refusal(Code.NOT_FOUND, "there is no such team")
    return view


def _check_name(name: str) -> None:
    if flaw := flaw_of_name(name) or ("" if name.strip() else "a team needs a name"):
        raise bad(f"name: {flaw}", "name")


Handler = Callable[[Context, Any], Awaitable[Any]]  # a handler takes its own command's struct

HANDLERS: dict[type[Arguments], Handler] = {
    known.CreateTeam: create,
    known.PatchTeam: patch,
    known.DeleteTeam: delete,
    known.AddMember: add_member,
    known.RemoveMember: remove_member,
}
