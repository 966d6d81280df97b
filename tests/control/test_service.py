"""The role itself: over its socket, beside a real clerk."""

import asyncio
import os
import socket
from pathlib import Path

import httpx2 as httpx
import pytest

from tallygate import config
from tallygate.clerk import service as clerk_service
from tallygate.clerk.options import Options
from tallygate.control import service
from tallygate.store.database import Database
from tallygate.store.migrations import migrate

pytestmark = pytest.mark.anyio

MASTER_KEY = b"m" * 32


class Pipes:
    """The supervisor's side of a role: hears that it is ready, ends it by letting go."""

    def __init__(self) -> None:
        self.go_fd, self._held_fd = os.pipe()
        self.is_ready = asyncio.Event()

    def ready(self) -> None:
        self.is_ready.set()

    def let_go(self) -> None:
        os.close(self._held_fd)


def listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


async def test_control_and_clerk_make_list_and_delete_a_key(tmp_path: Path) -> None:
    """The two roles agree on their socket, their commands and how keys are sealed."""
    settings, _ = config.load({}, data=tmp_path)
    (tmp_path / "run").mkdir()
    database = Database(f"sqlite:///{tmp_path}/tallygate.db")
    await database.open()
    await migrate(database)
    await database.close()
    options = Options(
        data=str(tmp_path),
        database_url=f"sqlite:///{tmp_path}/tallygate.db",
        node_uuid="node",
        node_name="node",
        master_key=MASTER_KEY,
        control_socket=str(settings.socket_path("control")),
    )
    metrics = socket.create_server(("127.0.0.1", 0))
    metrics_port = metrics.getsockname()[1]
    clerk_pipes, control_pipes = Pipes(), Pipes()
    clerk = asyncio.ensure_future(
        clerk_service.serve(options, listen(settings.socket_path("clerk")), clerk_pipes)
    )
    control = asyncio.ensure_future(
        service._serve(
            settings,
            service.Secrets("token", MASTER_KEY),
            listen(settings.socket_path("control")),
            control_pipes,
            metrics_listener=metrics,
        )
    )
    for role, pipes in ((clerk, clerk_pipes), (control, control_pipes)):
        ready = asyncio.ensure_future(pipes.is_ready.wait())
        await asyncio.wait([role, ready], return_when=asyncio.FIRST_COMPLETED)
        assert pipes.is_ready.is_set(), role
    socket_path = str(settings.socket_path("control"))
    transport = httpx.AsyncHTTPTransport(uds=socket_path)
    headers = {"X-Admin-Token": "token"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gate", headers=headers
    ) as api:
        made = (await api.post("/admin/keys", json={"label": "a", "daily_limit": 3})).json()
        assert (await api.get("/admin/keys")).json() == [{**made, "is_active": 1}]
        report = await api.get("/admin/usage")
        assert report.json()["total_keys"] == 1 and "x-tallygate-stale" not in report.headers
        assert "tallygate_clerk_feed_seq" in (await api.get("/metrics")).text
        await a_port_of_its_own_serves_metrics_and_nothing_else(metrics_port)
        assert (await api.delete(f"/admin/keys/{made['key']}")).status_code == 200
        assert (await api.delete(f"/admin/keys/{made['key']}")).status_code == 404
        await people_sign_in_and_ask_about_their_points(api, socket_path)
        audited = (await api.get("/api/audit", params={"action": "key", "actor": "admin"})).json()
        assert [one["action"] for one in audited["items"]] == ["key.delete", "key.create"]
        assert made["key"] not in str(audited)
    control_pipes.let_go()
    await asyncio.wait_for(control, 10)
    clerk_pipes.let_go()
    await asyncio.wait_for(clerk, 10)


async def people_sign_in_and_ask_about_their_points(
    api: httpx.AsyncClient, socket_path: str
) -> None:
    """Hashes of passwords and cookies go through the clerk's socket and come back as sessions."""
    body = {"id": "ann", "password": "correct horse battery"}
    assert (await api.post("/api/users", json=body)).status_code == 201
    transport = httpx.AsyncHTTPTransport(uds=socket_path)
    async with httpx.AsyncClient(transport=transport, base_url="http://gate") as ann:
        signed_in = await ann.post("/api/session", json=body)
        ann.headers["x-csrf-token"] = signed_in.json()["csrf_token"]
        key = (await ann.post("/api/user/keys", json={})).json()["secret"]
        assert (await ann.get("/api/user/points/balance")).json()["balance"] == 0
        program = {"authorization": f"Bearer {key}", "cookie": ""}
        answer = await ann.get("/api/user/points/history", headers=program)
        assert answer.json()["items"] == []
        assert (await ann.delete("/api/session")).json() == {"closed": 1}
        assert (await ann.get("/api/user")).status_code == 401


async def a_port_of_its_own_serves_metrics_and_nothing_else(port: int) -> None:
    """Prometheus holds no admin token, and who reaches this port must get no further."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as anyone:
        assert "tallygate_clerk_feed_seq" in (await anyone.get("/metrics")).text
        for path in ("/admin/keys", "/", "/docs", "/openapi.json"):
            assert (await anyone.get(path)).status_code == 404
