"""Credentials: taken in, changed, restored, deleted, asked to be checked; the keeper checks."""

import msgspec

from tallygate.clerk.commands.context import Context, Handlers
from tallygate.core.credential import State
from tallygate.core.credential_commands import (
    CheckCredential,
    CreateCredential,
    CredentialView,
    DeleteCredential,
    PatchCredential,
    RestoreCredential,
)
from tallygate.store import credentials


async def create(context: Context, wanted: CreateCredential) -> CredentialView:
    ring = context.options.master_key
    after = await credentials.insert(context.tx, ring, wanted.new, context.now_ms)
    return await _said(context, wanted.NAME, None, after)


async def patch(context: Context, change: PatchCredential) -> CredentialView:
    before = await credentials.get(context.tx, change.id)
    ring = context.options.master_key
    after = await credentials.patch(context.tx, ring, change, context.now_ms)
    return await _said(context, change.NAME, before, after)


async def restore(context: Context, wanted: RestoreCredential) -> CredentialView:
    before = await credentials.get(context.tx, wanted.id)
    after = await credentials.restore(context.tx, wanted.id, context.now_ms)
    return await _said(context, wanted.NAME, before, after)


async def delete(context: Context, wanted: DeleteCredential) -> CredentialView:
    before = await credentials.discard(context.tx, wanted.id, context.now_ms)
    after = msgspec.structs.replace(before, state=State.DELETED)
    return await _said(context, wanted.NAME, before, after)


async def check(context: Context, wanted: CheckCredential) -> CredentialView:
    """The next look of whoever starts keepers sees it."""
    found = await credentials.want_check(context.tx, wanted.id, context.now_ms)
    await context.audit(wanted.NAME, f"credential:{wanted.id}", None, None)
    return found


async def _said(
    context: Context, action: str, before: CredentialView | None, after: CredentialView
) -> CredentialView:
    await context.audit(action, f"credential:{after.id}", before, after)
    context.publish("config")
    return after


HANDLERS: Handlers = {
    CreateCredential: create,
    PatchCredential: patch,
    RestoreCredential: restore,
    DeleteCredential: delete,
    CheckCredential: check,
}
