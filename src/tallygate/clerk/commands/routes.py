"""Routes: made, changed, deleted. Gateways hear of it by a new snapshot."""

import ipaddress
import urllib.parse

import msgspec
from msgspec import UNSET

from tallygate.clerk.commands.context import Context, Handlers, bad
from tallygate.clerk.commands.keys import TEXT_MAX
from tallygate.clerk.options import Options
from tallygate.core import route_checks as checks
from tallygate.core import sealing
from tallygate.core.errors import Code, Refusal
from tallygate.core.limits import AMOUNT_MAX, Dimension
from tallygate.core.route_commands import (
    DeleteRoute,
    HeaderSpec,
    RouteLimitSpec,
    RouteView,
    SaveRoute,
)
from tallygate.core.routes import Deadlines
from tallygate.core.windows import Span, zone_of
from tallygate.store import routes
from tallygate.store.limits import NewLimit
from tallygate.wire.address import why_refused

LIMITS_MAX = 32
MILLISECONDS_MAX = 86_400_000
_DEFAULT = Deadlines()


async def save(context: Context, change: SaveRoute) -> RouteView:
    before = await _before(context, change)
    after = _changed(before or _new(context), change)
    _check(context.options, after)
    values = await _added(context, before, after)
    master_key = context.options.master_key
    if before is None:
        after.id = await routes.insert(context.tx, after, values, master_key)
    else:
        await routes.update(context.tx, after, values, master_key)
    if change.limits is not UNSET:
        await _set_limits(context, after.id, change.limits)
    shown = await routes.find(context.tx, after.id)
    assert shown is not None, "it was written in this transaction"
    await context.audit(change.NAME, f"route:{after.id}", before, shown)
    context.publish("config")
    return shown


async def delete(context: Context, wanted: DeleteRoute) -> RouteView:
    before = await routes.find(context.tx, wanted.id)
    if before is None:
        raise _unknown()
    for limit_id in await routes.delete(context.tx, wanted.id, context.now_ms):
        context.publish("limit", limit_id)
    await context.audit(wanted.NAME, f"route:{wanted.id}", before, None)
    context.publish("config")
    return before


async def _before(context: Context, change: SaveRoute) -> RouteView | None:
    if change.id is None:
        for name in ("path", "backend_url"):
            if getattr(change, name) is UNSET:
                raise bad(f"{name} is needed", name)
        return None
    found = await routes.find(context.tx, change.id)
    if found is None:
        raise _unknown()
    return found


def _new(context: Context) -> RouteView:
    return RouteView(
        id=0,
        path="",
        backend_url="",
        scope="",
        methods=[],
        host="",
        strip_prefix=False,
        rewrite="",
        request_headers=HeaderSpec(),
        response_headers=HeaderSpec(),
        limits=[],
        token_limits=[],
        is_active=True,
        credentials="",
        credential_header="",
        credential_query="",
        connect_ms=_DEFAULT.connect_ms,
        first_byte_ms=_DEFAULT.first_byte_ms,
        between_bytes_ms=_DEFAULT.between_bytes_ms,
        total_ms=_DEFAULT.total_ms,
        created_ms=context.now_ms,
    )


def _changed(view: RouteView, change: SaveRoute) -> RouteView:
    names = (name for name in change.__struct_fields__ if name not in ("id", "limits"))
    given = {name: getattr(change, name) for name in names}
    after = msgspec.structs.replace(
        view, **{name: value for name, value in given.items() if value is not UNSET}
    )
    if len(after.path) > 1:
        after.path = after.path.rstrip("/") or "/"
    after.host = after.host.lower()
    return after


def _check(options: Options, view: RouteView) -> None:
    request, response = view.request_headers, view.response_headers
    flaws: dict[str, str] = {
        "path": checks.flaw_of_path(view.path, view.host),
        "host": checks.flaw_of_host(view.host),
        "rewrite": checks.flaw_of_rewrite(view.rewrite, strips=view.strip_prefix),
        "methods": checks.flaw_of_methods(view.methods),
        "backend_url": checks.flaw_of_backend(view.backend_url),
        "request_headers": checks.flaw_of_rules(request.remove, request.rename, request.add),
        "response_headers": checks.flaw_of_rules(response.remove, response.rename, response.add),
        "scope": "" if len(view.scope) <= TEXT_MAX and "\0" not in view.scope else "is too long",
        **_flaws_of_credentials(view),
    }
    for name in ("connect_ms", "first_byte_ms", "between_bytes_ms", "total_ms"):
        least = 0 if name == "total_ms" else 1
        if not least <= getattr(view, name) <= MILLISECONDS_MAX:
            flaws[name] = f"is from {least} to {MILLISECONDS_MAX}"
    for name, flaw in flaws.items():
        if flaw:
            raise bad(f"`{name}` {flaw}", name)
    _check_backend(options, view.backend_url)


def _flaws_of_credentials(view: RouteView) -> dict[str, str]:
    header, query = view.credential_header, view.credential_query
    flaws = {
        "credentials": checks.flaw_of_pool(view.credentials),
        "credential_header": checks.flaw_of_credential_header(header),
        "credential_query": checks.flaw_of_credential_query(query),
    }
    if header and query:
        flaws["credential_query"] = "and `credential_header` exclude each other"
    elif (header or query) and not view.credentials:
        flaws["credentials"] = "names the pool whose secrets go there"
    elif view.credentials and not query:
        name, _ = checks.header_of(header or checks.CREDENTIAL_HEADER)
        if name in view.request_headers.add:
            flaws["credential_header"] = f"is {name}, which `request_headers` add already"
    return flaws


def _check_backend(options: Options, url: str) -> None:
    """What can be seen at once; names are resolved, and looked at again, at each connection."""
    parts = urllib.parse.urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    own = {one for one in (_host_of(options.public_url), options.console_host.lower()) if one}
    is_loopback = host == "localhost" or host.endswith(".localhost")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        why = ""
    else:
        listeners = frozenset({("127.0.0.1", options.port)}) if options.port else frozenset()
        why = why_refused(host, port, is_private_allowed=True, own=listeners)
    if host in own or (is_loopback and port == options.port):
        why = "this gateway's own listener"
    if why:
        raise Refusal(
            Code.IMPOSSIBLE, f"`backend_url` leads to {why}: no route may", param="backend_url"
        )


def _host_of(url: str) -> str:
    return (urllib.parse.urlsplit(url).hostname or "") if url else ""


async def _added(context: Context, before: RouteView | None, after: RouteView) -> dict[str, str]:
    """The values of added request headers; one of None is kept as it is."""
    given = after.request_headers.add
    kept: dict[str, str] = {}
    if before is not None and None in given.values():
        try:
            kept = await routes.added_values(context.tx, before.id, context.options.master_key)
        except sealing.Unsealable as error:
            raise Refusal(Code.IMPOSSIBLE, f"the headers kept do not open: {error}") from error
    values = {}
    for name, value in given.items():
        if value is None and name not in kept:
            raise bad(f"`request_headers` adds {name} without a value", "request_headers")
        values[name] = kept[name] if value is None else value
    if None in after.response_headers.add.values():
        raise bad("`response_headers` add a header without a value", "response_headers")
    return values


async def _set_limits(context: Context, route_id: int, specs: list[RouteLimitSpec]) -> None:
    if len(specs) > LIMITS_MAX:
        raise bad(f"`limits` hold at most {LIMITS_MAX}", "limits")
    wanted: dict[str, list[NewLimit]] = {"route": [], "token": []}
    for spec in specs:
        if spec.per not in wanted:
            raise bad("`limits`: `per` is route or token", "limits")
        wanted[spec.per].append(_limit(context, spec))
    changed = await routes.set_limits(
        context.tx, route_id, wanted["route"], wanted["token"], context.now_ms
    )
    for limit_id in changed:
        context.publish("limit", limit_id)


def _limit(context: Context, spec: RouteLimitSpec) -> NewLimit:
    if spec.dimension != Dimension.REQUESTS:
        raise bad("`limits` of a route count requests", "limits")
    if spec.amount is not None and not 0 <= spec.amount <= AMOUNT_MAX:
        raise bad(f"`limits`: amount is from 0 to {AMOUNT_MAX}, or null", "limits")
    zone = spec.zone or context.options.time_zone
    try:
        zone_of(zone)
        return NewLimit(Dimension.REQUESTS, Span(spec.span), zone, spec.amount)
    except ValueError as error:
        raise bad(f"`limits`: {error}", "limits") from error


def _unknown() -> Refusal:
    return Refusal(Code.NOT_FOUND, "there is no such route")


HANDLERS: Handlers = {SaveRoute: save, DeleteRoute: delete}
