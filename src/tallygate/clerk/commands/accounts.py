"""Accounts: made with their wallet, changed, deactivated; and who is signed in.

Deactivating an account, or giving it a new password, ends its sessions in the same transaction;
gateways hear at once that the keys of a deactivated account are not to be used.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import UNSET

from tallygate.clerk.commands import own_keys, teams
from tallygate.clerk.commands.context import Context, bad
from tallygate.core import account_commands as known
from tallygate.core.account_commands import AccountView
from tallygate.core.accounts import (
    Role,
    flaw_of_email,
    flaw_of_id,
    flaw_of_language,
    flaw_of_name,
    fold_email,
)
from tallygate.core.commands import Arguments
from tallygate.core.errors import Code, Refusal
from tallygate.core.keys import make_id
from tallygate.core.notice_wording import KINDS
from tallygate.store import accounts, idempotency, keys, notices, sessions

ID_ENTROPY_BYTES = 16
STATE_KEEP_MS = 3_600_000


async def create(context: Context, wanted: known.CreateUser) -> AccountView:
    id_ = wanted.id if wanted.id is not None else make_id("usr", context.entropy(ID_ENTROPY_BYTES))
    role = _role(wanted.role)
    if wanted.members_only and role is not Role.MEMBER:
        raise Refusal(Code.FORBIDDEN, "only an admin gives a role other than member")
    _refuse_flaw("id", flaw_of_id(id_))
    _refuse_flaw("name", flaw_of_name(wanted.name))
    email = _email(wanted.email)
    await accounts.insert(
        context.tx,
        id_,
        context.now_ms,
        name=wanted.name,
        email=email,
        password_hash=wanted.password_hash,
        role=role.value,
    )
    for key in await keys.list_of_user(context.tx, id_):
        context.publish("key", key.id)  # made before it, and charged to nobody so far
    view = await find(context, id_)
    await context.audit("user.create", f"user:{id_}", None, view)
    return view


async def patch(context: Context, change: known.PatchUser) -> AccountView:
    before = await find(context, change.id)
    if change.members_only:
        _check_reach(before, change)
    changes: dict[str, Any] = {}  # column → value of its type
    if change.name is not UNSET:
        _refuse_flaw("name", flaw_of_name(change.name))
        changes["name"] = change.name
    if change.email is not UNSET:
        changes["email"] = _email(change.email)
    if change.role is not UNSET:
        changes["role"] = _role(change.role).value
    if change.is_active is not UNSET:
        changes["is_active"] = change.is_active
    if change.language is not UNSET:
        _refuse_flaw("language", flaw_of_language(change.language) if change.language else "")
        changes["language"] = change.language or None
    if change.password_hash is not UNSET:
        changes["password"] = change.password_hash
    await accounts.change(context.tx, before.id, **changes)
    after = await find(context, before.id)
    if change.password_hash is not UNSET or not after.is_active:
        await sessions.close(context.tx, before.id, keep=change.keep_session)
    if before.is_active != after.is_active:
        for key in await keys.list_of_user(context.tx, before.id):
            context.publish("key", key.id)
    is_new_password = change.password_hash is not UNSET
    action = "user.set_password" if is_new_password and len(changes) == 1 else "user.patch"
    await context.audit(action, f"user:{before.id}", before, after)
    return after


def _check_reach(before: AccountView, change: known.PatchUser) -> None:
    """Whoever could change an admin's password or address could become that admin."""
    if before.role != Role.MEMBER:
        raise Refusal(Code.FORBIDDEN, f"only an admin changes an account that is {before.role}")
    if change.role is not UNSET and change.role != before.role:
        raise Refusal(Code.FORBIDDEN, "only an admin changes a role")


async def open_session(context: Context, wanted: known.OpenSession) -> AccountView:
    view = await find(context, wanted.account_id)
    await _open(context, view, wanted.hash, wanted.expires_ms, wanted.agent)
    return view


async def sign_in_subject(context: Context, wanted: known.SignInSubject) -> AccountView:
    await _spend_state(context, wanted.state)
    view = await accounts.find_by_subject(context.tx, wanted.subject)
    if view is None and wanted.email is not None:
        view = await _adopt(context, wanted.email, wanted.subject)
    if view is None:
        view = await _make(context, wanted)
    elif wanted.role is not None and wanted.role != view.role:
        before = view
        await accounts.change(context.tx, view.id, role=_role(wanted.role).value)
        view = await find(context, view.id)
        await context.audit("user.patch", f"user:{view.id}", before, view)
    await _open(context, view, wanted.hash, wanted.expires_ms, wanted.agent)
    return view


async def _spend_state(context: Context, state: bytes) -> None:
    """What was drawn for one sign-in counts once, on whichever node it comes back."""
    claimed = await idempotency.claim(
        context.tx,
        context.options.master_key,
        scope="sign-in",
        key=state.hex(),
        payload_hash=state,
        owner="",
        request_id=context.actor.request_id,
        now_ms=context.now_ms,
        keep_ms=STATE_KEEP_MS,
    )
    if claimed.state is not idempotency.State.NEW:
        raise Refusal(Code.UNAUTHORIZED, "this sign-in was used already; begin a new one")


async def _adopt(context: Context, email: str, subject: str) -> AccountView | None:
    """The account with this address, tied to the subject from now on."""
    before = await accounts.find_by_email(context.tx, fold_email(email))
    if before is None:
        return None
    if before.has_subject:
        raise Refusal(Code.FORBIDDEN, "this address belongs to an account of another identity")
    await accounts.change(context.tx, before.id, subject=subject)
    after = await find(context, before.id)
    await context.audit("user.link", f"user:{before.id}", before, after)
    return after


async def _make(context: Context, wanted: known.SignInSubject) -> AccountView:
    role = wanted.role or wanted.default_role
    if role is None:
        raise Refusal(Code.FORBIDDEN, "you have no account here; ask whoever runs this server")
    id_ = make_id("usr", context.entropy(ID_ENTROPY_BYTES))
    name = "" if flaw_of_name(wanted.name) else wanted.name
    await accounts.insert(
        context.tx,
        id_,
        context.now_ms,
        name=name,
        email=_email(wanted.email),
        subject=wanted.subject,
        role=_role(role).value,
    )
    view = await find(context, id_)
    await context.audit("user.create", f"user:{id_}", None, view)
    return view


async def _open(
    context: Context, view: AccountView, hash_: bytes, expires_ms: int, agent: str
) -> None:
    if not view.is_active:
        raise Refusal(Code.FORBIDDEN, "this account was deactivated")
    await sessions.clean(context.tx, context.now_ms)
    address = context.actor.address
    await sessions.insert(
        context.tx,
        hash_,
        view.id,
        context.now_ms,
        expires_ms=expires_ms,
        address=address,
        agent=agent,
    )
    await context.audit("session.open", f"user:{view.id}", None, {"agent": agent[:256]})


async def touch_session(context: Context, wanted: known.TouchSession) -> None:
    await sessions.touch(context.tx, wanted.hash, context.now_ms)


async def close_sessions(context: Context, wanted: known.CloseSessions) -> dict[str, int]:
    closed = await sessions.close(context.tx, wanted.account_id, only=wanted.hash)
    if closed:
        await context.audit("session.close", f"user:{wanted.account_id}", {"closed": closed}, None)
    return {"closed": closed}


async def see_notices(context: Context, wanted: known.SeeNotices) -> known.NoticesSeen:
    id_, upto_id = wanted.account_id, wanted.upto_id
    seen = await notices.see(context.tx, id_, upto_id, KINDS, context.now_ms)
    if seen:
        after = {"upto": upto_id, "seen": seen}
        await context.audit("own_notices.see", f"user:{id_}", None, after)
    return known.NoticesSeen(new=await notices.count_unseen(context.tx, id_, KINDS))


async def find(context: Context, id_: str) -> AccountView:
    view = await accounts.find(context.tx, id_)
    if view is None:
        raise Refusal(Code.NOT_FOUND, "there is no such user")
    return view


def _role(name: str) -> Role:
    try:
        return Role.named(name)
    except ValueError as error:
        raise bad(f"role: {error}", "role") from error


def _email(email: str | None) -> str | None:
    if email is None:
        return None
    folded = fold_email(email)
    _refuse_flaw("email", flaw_of_email(folded))
    return folded


def _refuse_flaw(param: str, flaw: str) -> None:
    if flaw:
        raise bad(f"{param}: {flaw}", param)


Handler = Callable[[Context, Any], Awaitable[Any]]  # a handler takes its own command's struct

HANDLERS: dict[type[Arguments], Handler] = {
    known.CreateUser: create,
    known.PatchUser: patch,
    known.OpenSession: open_session,
    known.SignInSubject: sign_in_subject,
    known.TouchSession: touch_session,
    known.CloseSessions: close_sessions,
    known.SeeNotices: see_notices,
    **teams.HANDLERS,
    **own_keys.HANDLERS,
}
