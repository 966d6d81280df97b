"""Keys: made, changed, rotated, deactivated, deleted. Each change is heard of by every gateway."""

import ipaddress

import msgspec
from msgspec import UNSET

from tallygate.clerk.commands.context import DAY_MS, Context, bad
from tallygate.clerk.commands.limits import check_amount, new_limit
from tallygate.core import sealing
from tallygate.core.commands import (
    CreateKey,
    DeactivateUnusedKeys,
    DeleteKey,
    KeyView,
    PatchKey,
    RotateKey,
)
from tallygate.core.errors import Code, Refusal
from tallygate.core.keys import Kind, hash_key, make_key, mask
from tallygate.core.limits import AMOUNT_MAX
from tallygate.store import accounts, keys, limits

ENTROPY_BYTES = 32
TEXT_MAX = 500
LIST_MAX = 1000
GRACE_S_MAX = 366 * 86_400


def purpose_of(key_id: int) -> str:
    """What a key's sealed secret is bound to."""
    return f"key_secret.sealed:{key_id}"


async def create(context: Context, wanted: CreateKey) -> KeyView:
    kind = _kind(wanted.kind)
    _check_texts(wanted.models, wanted.addresses, wanted.scopes)
    for name in ("label", "user_id", "team_id"):
        _check_text(getattr(wanted, name), name)
    _check_expiry(wanted.expires_ms)
    await _check_payer(context, wanted.user_id)
    new_limits = [new_limit(context, spec) for spec in wanted.limits]
    key_id = await keys.insert_key(
        context.tx,
        kind=kind.value,
        label=wanted.label,
        now_ms=context.now_ms,
        expires_ms=wanted.expires_ms,
        user_id=wanted.user_id,
        team_id=wanted.team_id,
        models=wanted.models,
        addresses=wanted.addresses,
        scopes=wanted.scopes,
    )
    daily = wanted.daily_limit
    if daily is UNSET and kind is Kind.TRIAL:
        daily = context.options.default_daily_limit
    if daily is not UNSET:
        await _set_daily(context, key_id, daily)
    await limits.replace(context.tx, limits.KEY, str(key_id), new_limits, context.now_ms)
    secret = await _add_secret(context, key_id, kind)
    view = await _find(context, str(key_id))
    await context.audit("key.create", f"key:{key_id}", None, view)
    context.publish("key", key_id)
    view.secret = secret
    return view


async def patch(context: Context, change: PatchKey) -> KeyView:
    before = await _find(context, change.key)
    names = ("label", "is_active", "expires_ms", "models", "addresses", "scopes", "team_id")
    given = {name: getattr(change, name) for name in names}
    given = {name: value for name, value in given.items() if value is not UNSET}
    _check_texts(given.get("models"), given.get("addresses"), given.get("scopes"))
    _check_text(given.get("label", ""), "label")
    _check_text(given.get("team_id", ""), "team_id")
    _check_expiry(given.get("expires_ms"))
    await keys.patch(context.tx, before.id, **given)
    changed: list[int] = []
    if change.daily_limit is not UNSET:
        changed += await _set_daily(context, before.id, change.daily_limit)
    if change.limits is not UNSET:
        wanted = [new_limit(context, spec) for spec in change.limits]
        changed += await limits.replace(
            context.tx, limits.KEY, str(before.id), wanted, context.now_ms
        )
    after = await _find(context, str(before.id))
    await context.audit("key.patch", f"key:{before.id}", before, after)
    context.publish("key", before.id)
    for limit_id in changed:
        context.publish("limit", limit_id)
    return after


async def delete(context: Context, wanted: DeleteKey) -> KeyView:
    view = await _find(context, wanted.key)
    await keys.delete(context.tx, view.id, context.now_ms)
    await context.audit("key.delete", f"key:{view.id}", view, None)
    context.publish("key", view.id)
    return view


async def rotate(context: Context, wanted: RotateKey) -> KeyView:
    if not 0 <= wanted.grace_s <= GRACE_S_MAX:
        raise bad(f"grace_s must be from 0 to {GRACE_S_MAX}", "grace_s")
    before = await _find(context, wanted.key)
    await keys.expire_secrets(context.tx, before.id, context.now_ms + wanted.grace_s * 1000)
    secret = await _add_secret(context, before.id, Kind(before.kind))
    after = await _find(context, str(before.id))
    await context.audit("key.rotate", f"key:{before.id}", before, after)
    context.publish("key", before.id)
    after.secret = secret
    return after


async def deactivate_unused(
    context: Context, wanted: DeactivateUnusedKeys
) -> dict[str, list[KeyView]]:
    if wanted.days < 1:
        raise bad("days must be at least 1", "days")
    before_ms = context.now_ms - wanted.days * DAY_MS
    views = []
    for key_id in await keys.unused_since(context.tx, before_ms):
        view = await _find(context, str(key_id))
        if not wanted.is_dry_run:
            await keys.patch(context.tx, key_id, is_active=False)
            after = msgspec.structs.replace(view, is_active=False)
            await context.audit("key.deactivate_unused", f"key:{key_id}", view, after)
            context.publish("key", key_id)
            view = after
        views.append(view)
    return {"deactivated": views}


async def _check_payer(context: Context, user_id: str) -> None:
    """A key of nobody's would be charged to nobody."""
    if user_id and await accounts.find(context.tx, user_id) is None:
        raise Refusal(Code.IMPOSSIBLE, f"there is no user {user_id!r}; make the user first")


async def _find(context: Context, key: str) -> KeyView:
    view = await keys.find_view(context.tx, key)
    if view is None:
        raise Refusal(Code.NOT_FOUND, "no such key")
    return view


async def _add_secret(context: Context, key_id: int, kind: Kind) -> str:
    """The new secret: kept by its hash, and sealed if the operator wants to see it again."""
    options = context.options
    secret = make_key(kind, context.entropy(ENTROPY_BYTES))
    sealed = None
    if options.keep_sealed_keys:
        nonce = context.entropy(sealing.NONCE_BYTES)
        sealed = sealing.seal(options.master_key, secret.encode(), purpose_of(key_id), nonce)
    await keys.add_secret(
        context.tx,
        key_id,
        key_hash=hash_key(secret.encode()),
        masked=mask(secret),
        sealed=sealed,
        now_ms=context.now_ms,
    )
    return secret


async def _set_daily(context: Context, key_id: int, amount: int | None) -> list[int]:
    check_amount(amount, "daily_limit")
    zone = context.options.time_zone
    return await limits.set_daily(context.tx, key_id, amount, zone, context.now_ms)


def _kind(name: str) -> Kind:
    try:
        return Kind(name)
    except ValueError as error:
        kinds = ", ".join(kind.value for kind in Kind)
        raise bad(f"kind must be one of {kinds}", "kind") from error


def _check_expiry(expires_ms: int | None) -> None:
    if expires_ms is not None and not 0 <= expires_ms <= AMOUNT_MAX:
        raise bad("expires_ms must be a time in milliseconds", "expires_ms")


def _check_text(text: str, param: str) -> None:
    if len(text) > TEXT_MAX or "\0" in text:
        raise bad(f"{param} must have at most {TEXT_MAX} characters, none of them null", param)


def _check_texts(
    models: list[str] | None, addresses: list[str] | None, scopes: list[str] | None
) -> None:
    for param, texts in (("models", models), ("addresses", addresses), ("scopes", scopes)):
        if texts is None:
            continue
        if len(texts) > LIST_MAX:
            raise bad(f"{param} may have at most {LIST_MAX} items", param)
        for text in texts:
            _check_text(text, param)
            if not text:
                raise bad(f"{param} must not hold an empty text", param)
    for address in addresses or ():
        try:
            ipaddress.ip_network(address, strict=False)
        except ValueError as error:
            raise bad(f"{address!r} is no address or network", "addresses") from error
