"""The application: every resource behind the door that it belongs behind."""

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.types import ASGIApp

from tallygate.clock import system_ms
from tallygate.control import (
    admin_keys,
    admin_usage,
    audit,
    demo,
    dify_apps,
    keys,
    langfuse,
    metrics,
    nodes,
    openapi,
    pages,
    providers,
    refusals,
    routes,
    tokens,
)
from tallygate.control.parts import Parts
from tallygate.control.request_log import RequestLog
from tallygate.core.errors import StoreRefused, StoreUnavailable
from tallygate.core.keys import hash_key
from tallygate.store import keys as api_keys

OPERATORS_ONLY = (
    *(admin_keys, admin_usage, keys, tokens, routes, providers, nodes, audit, metrics, dify_apps),
)


def build(parts: Parts) -> ASGIApp:
    return RequestLog(build_bare(parts))


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

    async def is_key(token: bytes) -> bool:
        try:
            async with parts.database.reading() as tx:
                return await api_keys.find_by_hash(tx, hash_key(token), system_ms()) is not None
        except (StoreUnavailable, StoreRefused):
            return False

    async def operators_only(request: Request) -> None:
        await parts.door.admit(request, is_key)

    guarded = APIRouter(dependencies=[Depends(operators_only)])
    for resource in OPERATORS_ONLY:
        guarded.include_router(resource.routes(parts))
    application.include_router(guarded)
    application.include_router(pages.routes(parts, application))
    application.include_router(demo.routes(system_ms))
    application.include_router(langfuse.routes(parts))
    openapi.install(application)

    @application.get("/openapi.json", include_in_schema=False)
    async def document() -> Response:
        return Response(openapi.encoded(application), media_type="application/json")

    return application
