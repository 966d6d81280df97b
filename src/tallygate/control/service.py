"""The role `control`: one uvicorn on the node's Unix socket, until it is told to stop.

Gateways relay here whatever no route of theirs claims. The end of `go_fd` or SIGTERM is a graceful
stop: what was begun is answered first.
"""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any
from typing import Protocol as Port

import msgspec
import uvicorn
from starlette.types import ASGIApp

from tallygate import kinds
from tallygate.clock import system_ms
from tallygate.control import application, metrics
from tallygate.control.authentication import AdminDoor, GuessBudget
from tallygate.control.doctor import doctor_of
from tallygate.control.oidc import Oidc, OidcOptions, fetch
from tallygate.control.orders import Clerk
from tallygate.control.parts import Parts
from tallygate.control.shown_settings import shown
from tallygate.control.sign_in import HOUR_MS, MINUTE_MS, SignIn
from tallygate.core.accounts import Role, read_role_map
from tallygate.core.charging import Trust
from tallygate.core.dify import App, app_of_settings
from tallygate.core.provider import Provider
from tallygate.store import providers
from tallygate.store.database import Database
from tallygate.store.location import locate
from tallygate.store.migrations import check_schema
from tallygate.telemetry import exposition
from tallygate.wire.caller import Caller

if TYPE_CHECKING:
    from tallygate.config import Settings

CONNECTIONS_MAX = 1000
NODE_FILE = "node.json"


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What the control plane is trusted with."""

    admin_token: str
    master_key: bytes


class Handshake(Port):
    """What the supervisor and this role tell each other."""

    go_fd: int

    def ready(self) -> None: ...


def run(
    settings: "Settings",
    secrets: Secrets,
    listener: socket.socket,
    handshake: Handshake,
    render: Callable[[Any], bytes] = exposition.render_inspection,
    metrics_listener: socket.socket | None = None,
) -> None:
    """Serve until told to stop; StoreRefused and StoreUnavailable say why it can not begin.

    `render` makes Prometheus' text out of what the clerk answers to `Inspect`. Whoever reaches
    `metrics_listener` may read it.
    """
    asyncio.run(_serve(settings, secrets, listener, handshake, render, metrics_listener))


async def _serve(
    settings: "Settings",
    secrets: Secrets,
    listener: socket.socket,
    handshake: Handshake,
    render: Callable[[Any], bytes] = exposition.render_inspection,
    metrics_listener: socket.socket | None = None,
) -> None:
    database = Database(store_url(settings))
    await database.open(may_create=False)
    caller = Caller(settings.socket_path("clerk"))
    try:
        await check_schema(database)
        parts = replace(
            parts_of(settings, secrets, database, caller, render),
            is_ending=lambda: server.should_exit,
        )
        server = _Server(_uvicorn(settings, application.build(parts)), handshake.ready)
        asyncio.get_running_loop().add_reader(handshake.go_fd, _heed, handshake.go_fd, server)
        gc.collect()
        gc.freeze()  # what is there now stays: looking through all of it took 120 ms at a time
        async with _beside(_uvicorn(settings, application.build_metrics(parts)), metrics_listener):
            await server.serve(sockets=[listener])
    finally:
        caller.close()
        await database.close()


def parts_of(
    settings: "Settings",
    secrets: Secrets,
    database: Database,
    caller: Clerk,
    render: Callable[[Any], bytes] = exposition.render_inspection,
) -> Parts:
    return Parts(
        database=database,
        clerk=caller,
        door=AdminDoor(secrets.admin_token, GuessBudget(monotonic)),
        master_key=secrets.master_key,
        time_zone=settings.time_zone,
        keeps_sealed_keys=settings.keep_sealed_keys,
        from_settings=provider_of(settings),
        node_name=_node_name(settings.data / NODE_FILE),
        render_metrics=metrics.renderer(caller, render),
        settings_app=dify_app_of(settings),
        kinds=lambda: kinds.load(settings.data / "kinds"),
        sign_in=sign_in_of(settings),
        edge_namespace_id=settings.edge_kv_namespace_id,
        edge_writes_per_day=settings.edge_writes_per_day,
        console_host=settings.console_host,
        settings=tuple(shown(settings)),
        doctor=doctor_of(settings),
        dify_in_pages=settings.dify_in_pages,
        browser_trust=Trust(settings.dify_browser_trust),
        notice_language=settings.notice_language,
    )


def sign_in_of(settings: "Settings") -> SignIn:
    return SignIn(
        oidc=_oidc_of(settings),
        public_url=settings.public_url,
        idle_ms=settings.session_idle_min * MINUTE_MS,
        max_ms=settings.session_max_h * HOUR_MS,
    )


def _oidc_of(settings: "Settings") -> Oidc | None:
    if not settings.oidc_issuer:
        return None
    secret, role = settings.oidc_client_secret, settings.oidc_default_role
    options = OidcOptions(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=secret.get_secret_value() if secret else None,
        scopes=settings.oidc_scopes,
        domains=frozenset(filter(None, settings.oidc_domains.split(","))),
        default_role=None if role == "none" else Role(role),
        role_claim=settings.oidc_role_claim,
        roles=read_role_map(settings.oidc_roles),
    )
    return Oidc(options, fetch, lambda: system_ms() / 1000)


def provider_of(settings: "Settings") -> Provider | None:
    """The provider that DEEPSEEK_API_KEY makes."""
    if settings.deepseek_api_key is None:
        return None
    secret = settings.deepseek_api_key.get_secret_value()
    return providers.deepseek(secret, settings.deepseek_base_url)


def dify_app_of(settings: "Settings") -> App | None:
    """The app that TALLYGATE_DIFY_API_URL and TALLYGATE_DIFY_API_KEY make."""
    key = settings.dify_api_key.get_secret_value() if settings.dify_api_key else None
    return app_of_settings(
        settings.dify_api_url, key, settings.dify_model, settings.dify_hold_points
    )


def store_url(settings: "Settings") -> str:
    url = settings.database_url.get_secret_value() if settings.database_url else None
    return locate(settings.data, url, settings.sqlite_db_path).url


class _NodeFile(msgspec.Struct):
    name: str


def _node_name(path: Path) -> str:
    """How this node is called in `x-tallygate-stale`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_NodeFile).name
    except (OSError, msgspec.DecodeError):
        return "this node"


def _uvicorn(settings: "Settings", served: ASGIApp) -> uvicorn.Config:
    """Its access log is off: paths hold keys. The request log writes our own line."""
    return uvicorn.Config(
        served,
        access_log=False,
        log_config=None,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=settings.drain_timeout_s,
    )


class _Server(uvicorn.Server):
    """uvicorn, saying when it accepts."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()


@asynccontextmanager
async def _beside(config: uvicorn.Config, listener: socket.socket | None) -> AsyncIterator[None]:
    """A second server that lives as long as the first; signals are the first one's business."""
    if listener is None:
        yield
        return
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield
    finally:
        await server.shutdown(sockets=[listener])


def _heed(go_fd: int, server: uvicorn.Server) -> None:
    """Whatever is written there is for gateways; its end is for everyone."""
    if not os.read(go_fd, 4096):
        asyncio.get_running_loop().remove_reader(go_fd)
        server.should_exit = True
