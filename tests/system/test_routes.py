"""The token manager's gate with real processes and sockets: the seed's calls, and hard ones."""

import base64
import contextlib
import hashlib
import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import backend as fake
from tests.fakes.backend import Backend
from tests.system.conftest import MakeNode
from tests.system.harness import PATIENCE_S, Node, until

pytestmark = pytest.mark.slow

SIZE = 100 << 20
PIECE = bytes(range(256)) * 1024
GROWTH_MAX_KIB = 24 << 10  # what 100 MB in transit may add to a worker


@pytest.fixture
def backend() -> Iterator[Backend]:
    with fake.running() as running:
        yield running


@pytest.fixture
def node(make_node: MakeNode) -> Node:
    made = make_node(workers=1)
    assert isinstance(made, Node)
    return made


def make_token(node: Node, **changes: Any) -> str:
    made = node.admin("POST", "/api/tokens", {"name": "Test Token", **changes})
    return str(made["token"])


def make_route(node: Node, backend: Backend, path: str = "/api/test", **changes: Any) -> Any:
    made = node.admin("POST", "/api/routes", {"path": path, "backend_url": backend.url, **changes})
    status = 404
    headers = {"host": changes["host"]} if changes.get("host") else {}

    def is_served() -> bool:
        nonlocal status
        status, _, _ = node.ask("GET", path, headers=headers)
        return status == 401

    until(is_served, f"{path} is served")
    return made


def ask(node: Node, token: str, path: str, method: str = "GET", body: Any = None) -> Any:
    return node.ask(method, path, body, {"x-api-key": token})


def rss_kib(node: Node) -> int:
    status = Path(f"/proc/{node.pids()['gateway-0']}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def test_the_seeds_walk_on_each_store(
    make_node: MakeNode, database_url: str | None, backend: Backend
) -> None:
    """Create a token, use it, see when it was last used: also by the seed's own SQL."""
    node = make_node(workers=2, database_url=database_url)
    token = make_token(node)
    make_route(node, backend)
    (shown,) = node.admin("GET", "/api/tokens")["items"]
    assert shown["last_used"] is None
    status, headers, answer = ask(node, token, "/api/test")
    assert status == 200
    assert answer["target"] == "/api/test"
    assert token not in str(answer)
    assert headers["content-security-policy"] == "sandbox"
    assert headers["set-cookie"] == "theirs=1"
    until(
        lambda: node.admin("GET", "/api/tokens?sort=-last_used&limit=10")["items"][0]["last_used"]
    )
    assert node.ask("GET", "/api/test")[0] == 401
    assert node.ask("GET", "/api/nothing", headers={"x-api-key": token})[0] == 404


def test_scopes_methods_and_limits_hold_over_a_real_clerk(node: Node, backend: Backend) -> None:
    reader, other = make_token(node, scopes=["read"]), make_token(node)
    limits = [{"span": "day", "amount": 3, "per": "token"}]
    make_route(node, backend, scope="read", methods=["GET"], limits=limits)
    assert ask(node, other, "/api/test")[0] == 403
    assert ask(node, reader, "/api/test", "POST", {})[0] == 405
    assert [ask(node, reader, "/api/test")[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    second = make_token(node, scopes=["*"])
    assert ask(node, second, "/api/test")[0] == 200
    assert len(backend.seen) == 4


def test_a_change_of_a_route_and_the_end_of_a_token_are_heard_within_moments(
    node: Node, backend: Backend
) -> None:
    token = make_token(node)
    route = make_route(node, backend)
    assert ask(node, token, "/api/test/a")[2]["target"] == "/api/test/a"
    place = f"/api/routes/{route['id']}"
    node.admin("PATCH", place, {"strip_prefix": True})
    until(lambda: ask(node, token, "/api/test/a")[2]["target"] == "/a")
    node.admin("DELETE", f"/api/tokens/{token}")
    until(lambda: ask(node, token, "/api/test")[0] == 401)
    node.admin("DELETE", place)
    until(lambda: ask(node, token, "/api/test")[0] == 404)


def test_a_host_of_its_own_may_even_serve_what_is_ours(node: Node, backend: Backend) -> None:
    token = make_token(node)
    make_route(node, backend, "/", host="tools.test")
    headers = {"host": "tools.test", "x-api-key": token}
    status, answered, answer = node.ask("GET", "/admin/keys", headers=headers)
    assert (status, answer["target"]) == (200, "/admin/keys")
    assert "content-security-policy" not in answered
    assert node.ask("GET", "/healthz")[2] == {"ok": True}


@pytest.mark.parametrize(
    ("path", "status"), [("garbage", 502), ("nothing", 502), ("status/500", 500)]
)
def test_a_hostile_backend_gets_a_clear_answer(
    node: Node, backend: Backend, path: str, status: int
) -> None:
    token = make_token(node)
    make_route(node, backend)
    answered, _, answer = ask(node, token, f"/api/test/{path}")
    assert answered == status
    if status == 502:
        assert answer["error"]["code"].startswith("upstream_")
    assert ask(node, token, "/api/test/echo")[0] == 200


def test_a_cut_answer_is_not_taken_for_a_whole_one(node: Node, backend: Backend) -> None:
    token = make_token(node)
    make_route(node, backend)
    with pytest.raises(http.client.IncompleteRead):
        ask(node, token, "/api/test/cut")


def test_a_backend_that_is_not_there_is_a_502(node: Node) -> None:
    token = make_token(node)
    make_route(node, Backend(port=1))
    assert ask(node, token, "/api/test")[0] == 502


def test_a_route_to_ourselves_is_refused_or_cut(node: Node) -> None:
    """By the port at creation; by `Via` when it comes back by another way."""
    body = {"path": "/api/loop", "backend_url": node.url}
    status, _, answer = node.ask(
        "POST", "/api/routes", body, {"x-admin-token": node.settings["ADMIN_TOKEN"]}
    )
    assert (status, answer["error"]["code"]) == (422, "impossible")
    token = make_token(node)
    with relay_to(node.port) as port:
        make_route(node, Backend(port=port), "/api/loop")
        status, _, answer = ask(node, token, "/api/loop")
        assert (status, answer["error"]["code"]) == (422, "impossible")


@contextlib.contextmanager
def relay_to(port: int) -> Iterator[int]:
    """A port that leads to another, as a tunnel or a port forward does."""
    listening = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                server = socket.create_connection(("127.0.0.1", port))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listening.getsockname()[1]
    listening.close()


def test_events_come_through(node: Node, backend: Backend) -> None:
    token = make_token(node)
    make_route(node, backend)
    _, headers, body = ask(node, token, "/api/test/events/50")
    assert headers["content-type"] == "text/event-stream"
    assert body == b"".join(b"data: %d\n\n" % number for number in range(50))


def test_a_websocket_comes_through_both_ways(node: Node, backend: Backend) -> None:
    """More than any buffer holds, while the other direction is being read."""
    token = make_token(node)
    make_route(node, backend)
    key = base64.b64encode(b"0123456789abcdef").decode()
    lines = [
        *("GET /api/test/ws HTTP/1.1", "Host: gate.test", f"X-API-Key: {token}"),
        *("Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {key}"),
        "Sec-WebSocket-Version: 13",
    ]
    with socket.create_connection(("127.0.0.1", node.port), PATIENCE_S) as client:
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += client.recv(65536)
        head, _, rest = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-accept" in head.lower()
        assert rest == b""
        for _ in range(20):
            client.sendall(PIECE)
            back = b""
            while len(back) < len(PIECE):
                back += client.recv(1 << 20)
            assert back == PIECE


def test_a_hundred_megabytes_go_up_and_down_without_being_held(
    node: Node, backend: Backend
) -> None:
    """A worker serves thousands at once: none of them may cost it more than a few buffers."""
    token = make_token(node)
    make_route(node, backend)
    ask(node, token, "/api/test/bytes/1000")
    before_kib = rss_kib(node)
    digest = hashlib.sha256()
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        connection.request("GET", f"/api/test/bytes/{SIZE}", headers={"x-api-key": token})
        answer = connection.getresponse()
        count = 0
        while data := answer.read(1 << 18):
            digest.update(data)
            count += len(data)
        assert count == SIZE
        pieces = (PIECE for _ in range(SIZE // len(PIECE)))
        headers = {"x-api-key": token, "content-length": str(SIZE)}
        connection.request("PUT", "/api/test/echo", pieces, headers)
        assert connection.getresponse().status == 200
    assert backend.seen[-1].length == SIZE
    assert backend.seen[-1].digest == digest.hexdigest()
    assert rss_kib(node) - before_kib < GROWTH_MAX_KIB


def test_a_worker_that_dies_leaves_routes_to_the_next(node: Node, backend: Backend) -> None:
    token = make_token(node)
    make_route(node, backend)
    killed = node.kill("gateway-0")
    node.wait_refilled("gateway-0", killed)
    until(node.is_listening_or_ended)
    assert ask(node, token, "/api/test")[0] == 200
