"""Dify apps: made, changed, deleted; gateways hear of it by a new snapshot. Traces: taken in."""

import re
from typing import Any
from urllib.parse import urlsplit

from msgspec import UNSET

from tallygate.clerk.commands.context import Context, Handlers, bad
from tallygate.core.dify import DEFAULT_HOLD_POINTS, DEFAULT_INSTANCE, BilledBy, with_version
from tallygate.core.dify_commands import (
    DeleteDifyApp,
    DifyAppView,
    RenewDifyTracing,
    SaveDifyApp,
    TakeTraces,
)
from tallygate.core.errors import Code, Refusal
from tallygate.core.limits import AMOUNT_MAX
from tallygate.core.money import MICROS
from tallygate.store import dify_apps, dify_traces

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_KEY_BYTES = 16
TEXT_MAX = 256


async def save(context: Context, change: SaveDifyApp) -> DifyAppView:
    _check(change)
    if change.is_new:
        _complete(change)
    before = await dify_apps.find(context.tx, change.name)
    master_key = context.options.master_key
    after = await dify_apps.save(context.tx, master_key, change, context.now_ms)
    if change.is_new:
        after = await _renew(context, change.name)
    await context.audit(change.NAME, f"dify_app:{change.name}", before, _shown(after))
    context.publish("config")
    return after


async def delete(context: Context, wanted: DeleteDifyApp) -> DifyAppView:
    before = await dify_apps.delete(context.tx, wanted.name)
    await context.audit(wanted.NAME, f"dify_app:{wanted.name}", before, None)
    context.publish("config")
    return before


async def renew_tracing(context: Context, wanted: RenewDifyTracing) -> DifyAppView:
    before = await dify_apps.find(context.tx, wanted.name)
    if before is None:
        raise Refusal(Code.NOT_FOUND, f"no Dify app is named {wanted.name!r}")
    after = await _renew(context, wanted.name)
    await context.audit(wanted.NAME, f"dify_app:{wanted.name}", before, _shown(after))
    return after


async def take_traces(context: Context, taken: TakeTraces) -> dict[str, int]:
    """No operator's doing, and the traces stay: nothing to audit."""
    quiet_ms = context.options.dify_trace_quiet_s * 1000
    await dify_traces.take(context.tx, taken.app_id, taken.traces, context.now_ms, quiet_ms)
    return {"traces": len(taken.traces)}


async def _renew(context: Context, name: str) -> DifyAppView:
    """The shape of Langfuse's own keys: some tools look at it."""
    public = f"pk-lf-{context.entropy(_KEY_BYTES).hex()}"
    secret = f"sk-lf-{context.entropy(2 * _KEY_BYTES).hex()}"
    await dify_apps.set_tracing(context.tx, name, public, secret)
    view = await dify_apps.find(context.tx, name)
    assert view is not None, "it was written in this transaction"
    view.trace_secret = secret
    return view


def _shown(view: DifyAppView) -> dict[str, Any]:
    """What the audit log keeps."""
    fields = {name: getattr(view, name) for name in view.__struct_fields__}
    return {name: value for name, value in fields.items() if name != "trace_secret"}


def _complete(change: SaveDifyApp) -> None:
    if change.api_url is UNSET:
        raise Refusal(Code.BAD_REQUEST, "api_url is needed", param="api_url")
    if change.instance is UNSET:
        change.instance = DEFAULT_INSTANCE
    if change.hold_micros is UNSET:
        change.hold_micros = DEFAULT_HOLD_POINTS * MICROS


def _check(change: SaveDifyApp) -> None:
    if change.is_new and not _NAME.match(change.name):
        raise bad("name must be letters, digits, dots, dashes, underscores; at most 64", "name")
    if change.api_url is not UNSET:
        change.api_url = with_version(_checked_url(change.api_url))
    if change.billed_by is not UNSET and change.billed_by not in list(BilledBy):
        raise bad("billed_by must be dify or gateway", "billed_by")
    for name in ("instance", "model"):
        text: Any = getattr(change, name)  # a str or UNSET
        if text is not UNSET and (len(text) > TEXT_MAX or not (text.isprintable() or not text)):
            raise bad(f"{name} must have at most {TEXT_MAX} printable characters", name)
    if change.secret is not UNSET and not re.fullmatch(r"[\x21-\x7e]{0,4096}", change.secret):
        raise bad("api_key must be printable ASCII without blanks", "api_key")
    if change.hold_micros is not UNSET and not 0 <= change.hold_micros <= AMOUNT_MAX:
        raise bad("hold_points must not be negative, nor beyond all bounds", "hold_points")


def _checked_url(url: str) -> str:
    """Its text is not repeated: it may hold a password."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    is_plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= 2048
    if not is_good or not is_plain or parts.username or parts.query or parts.fragment:
        raise bad("api_url must be like https://api.dify.ai/v1, without user or query", "api_url")
    return url


HANDLERS: Handlers = {
    SaveDifyApp: save,
    DeleteDifyApp: delete,
    RenewDifyTracing: renew_tracing,
    TakeTraces: take_traces,
}
