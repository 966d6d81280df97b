"""The application: every resource behind the door that it belongs behind."""

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.types import ASGIApp

from tallygate.clock import system_ms
from tallygate.control import (
    admin_keys,
    admin_usage,
    anomalies,
    audit,
    bodies,
    budgets,
    calculator,
    charges,
    consumption,
    credentials,
    dead_letters,
    demo,
    dify_apps,
    dify_config,
    dify_events,
    edge,
    grants,
    holds,
    keeper,
    keys,
    langfuse,
    limits,
    metrics,
    models,
    nodes,
    oidc_sign_in,
    openapi,
    own_account,
    own_notices,
    pages,
    points_history,
    providers,
    rates,
    redeem,
    refusals,
    routes,
    sessions,
    setup,
    teams,
    tokens,
    usage,
    usage_reports,
    user_points,
    users,
    wallets,
)
from tallygate.control.console_host import ConsoleHost
from tallygate.control.parts import Parts
from tallygate.control.people import People
from tallygate.control.request_log import RequestLog
from tallygate.control.roles import need_of

# All of them behind one door; roles.py says what each call needs.
# A route is found by trying one after the other: what is asked most often comes first.
GUARDED = (
    *(user_points, points_history),
    *(admin_keys, admin_usage, keys, tokens, routes, edge, providers, nodes, audit, metrics),
    *(usage, users, teams, limits, own_account, own_notices, sessions, oidc_sign_in, setup),
    *(wallets, grants, holds, redeem, budgets, models, rates, calculator),
    *(dify_apps, dify_config, dify_events, langfuse, charges, dead_letters, consumption),
    *(credentials, keeper, usage_reports),
    anomalies,
)


def build(parts: Parts) -> ASGIApp:
    application: ASGIApp = build_bare(parts)
    if parts.console_host:
        application = ConsoleHost(application, parts.console_host, _elsewhere())
    return RequestLog(application)


def _elsewhere() -> FastAPI:
    """Nothing, in this API's own words: what the other hosts are not told about."""
    application = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    refusals.install(application)
    return application


def build_metrics(parts: Parts) -> ASGIApp:
    """Only /metrics, for whoever reaches its port."""
    application = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    refusals.install(application)
    application.include_router(metrics.routes(parts))
    return RequestLog(application)


def build_bare(parts: Parts) -> FastAPI:
    """Without the request log around it: what the OpenAPI document is made from."""
    application = FastAPI(
        title="Tallygate",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    refusals.install(application)

    people = People(parts.database, parts.clerk, parts.sign_in.idle_ms, parts.sign_in.public_url)

    async def admit(request: Request) -> None:
        if b"%00" in request.scope["query_string"]:
            bodies.refuse_nul_in_query(request)
        need = need_of(request.method, request.scope["route"].path)
        request.state.caller = await parts.door.admit(request, need, people)

    guarded = APIRouter(dependencies=[Depends(admit)])
    for resource in GUARDED:
        guarded.include_router(resource.routes(parts))
    application.include_router(guarded)
    application.include_router(pages.routes(parts, application))
    application.include_router(demo.routes(system_ms))
    openapi.install(application)

    @application.get("/openapi.json", include_in_schema=False)
    async def document() -> Response:
        return Response(openapi.encoded(application), media_type="application/json")

    return application
