"""Keys that members make for themselves, within what an operator allows.

A member can make a key no stronger than a new one of the operator's would be, and can change
nothing about a key that an operator restricted: only give it a new secret, or end it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import UNSET

from tallygate.clerk.commands import keys as key_commands
from tallygate.clerk.commands.context import Context, bad
from tallygate.core import account_commands as known
from tallygate.core.commands import Arguments, CreateKey, DeleteKey, KeyView, RotateKey
from tallygate.core.errors import Code, Refusal
from tallygate.store import accounts, keys


async def create(context: Context, wanted: known.CreateOwnKey) -> KeyView:
    await _check_owner(context, wanted.account_id)
    options = context.options
    most = options.default_daily_limit
    if wanted.daily_limit is not UNSET and wanted.daily_limit > most:
        raise bad(f"daily_limit: at most {most} requests a day", "daily_limit")
    if len(await keys.list_of_user(context.tx, wanted.account_id)) >= options.member_keys_max:
        raise Refusal(
            Code.CONFLICT,
            f"you may have {options.member_keys_max} keys; delete one first"
            if options.member_keys_max
            else "members make no keys on this server; ask whoever runs it",
        )
    made = CreateKey(
        label=wanted.label,
        daily_limit=wanted.daily_limit,
        limits=wanted.limits,
        user_id=wanted.account_id,
        expires_ms=wanted.expires_ms,
        models=wanted.models,
        addresses=wanted.addresses,
    )
    return await key_commands.create(context, made)


async def rotate(context: Context, wanted: known.RotateOwnKey) -> KeyView:
    view = await _own(context, wanted.account_id, wanted.key)
    change = RotateKey(key=str(view.id), grace_s=wanted.grace_s)
    return await key_commands.rotate(context, change)


async def delete(context: Context, wanted: known.DeleteOwnKey) -> KeyView:
    view = await _own(context, wanted.account_id, wanted.key)
    return await key_commands.delete(context, DeleteKey(key=str(view.id)))


async def _own(context: Context, account_id: str, key: str) -> KeyView:
    """Somebody else's key looks like none, so that nobody learns which ids there are."""
    await _check_owner(context, account_id)
    view = await keys.find_view(context.tx, key)
    if view is None or view.user_id != account_id:
        raise Refusal(Code.NOT_FOUND, "you have no such key")
    return view


async def _check_owner(context: Context, account_id: str) -> None:
    owner = await accounts.find(context.tx, account_id)
    if owner is None or not owner.is_active:
        raise Refusal(Code.FORBIDDEN, "this account was deactivated")


Handler = Callable[[Context, Any], Awaitable[Any]]  # a handler takes its own command's struct

HANDLERS: dict[type[Arguments], Handler] = {
    known.CreateOwnKey: create,
    known.RotateOwnKey: rotate,
    known.DeleteOwnKey: delete,
}
