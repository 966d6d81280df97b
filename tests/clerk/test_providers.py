"""Model lists: read from each provider, unknown when they can not be."""

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web

from tallygate.clerk import model_lists
from tallygate.core.commands import SaveProvider
from tallygate.core.ports import FetchModels, Refreshed
from tallygate.core.provider import Protocol, Provider
from tallygate.store import providers as rows
from tallygate.store import routes
from tallygate.store.database import Tx
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import Node, until

pytestmark = pytest.mark.anyio

SECRET = "sk-very-secret"


class Upstream:
    """A provider's /models; what it answers is set by the test."""

    def __init__(self) -> None:
        self.body = b'{"object":"list","data":[{"id":"m-2","x":1},{"id":"m-1"}]}'
        self.status = 200
        self.headers: list[dict[str, str]] = []

    async def __aenter__(self) -> "Upstream":
        application = web.Application()
        application.router.add_get("/v1/models", self._answer)
        self.runner = web.AppRunner(application)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(body=self.body, status=self.status, headers={"location": "/v1/models"})


def models_of(node: Node, name: str) -> tuple[str, ...] | None:
    found = [one.models for one in node.clerk.providers.snapshot.providers if one.name == name]
    return found[0] if found else None


async def save(node: Node, upstream: Upstream, protocol: str = "openai") -> None:
    await node.command(
        SaveProvider(
            name="acme", is_new=True, base_url=upstream.url, secret=SECRET, protocol=protocol
        )
    )


async def test_a_providers_own_list_is_read(node: Node):
    async with Upstream() as upstream:
        await save(node, upstream)
        await until(lambda: models_of(node, "acme"))
        assert models_of(node, "acme") == ("m-1", "m-2")
        assert upstream.headers[0]["authorization"] == f"Bearer {SECRET}"


async def test_anthropic_is_asked_in_its_own_way(node: Node):
    async with Upstream() as upstream:
        await save(node, upstream, "anthropic")
        await until(lambda: models_of(node, "acme"))
        assert upstream.headers[0]["x-api-key"] == SECRET


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (302, b""),
        (200, b"<html>"),
        (200, b'{"data":[{"id":5}]}'),
        (200, b"[" * 100_000),
        (200, b'{"data":[{"id":"m"}]}' + b" " * (4 << 20)),
    ],
)
async def test_a_list_that_can_not_be_read_is_unknown(
    node: Node, status: int, body: bytes, capsys: pytest.CaptureFixture[str]
):
    """The provider is used all the same, and its secret is in no log."""
    async with Upstream() as upstream:
        upstream.status, upstream.body = status, body
        await save(node, upstream)
        await until(lambda: "can not be listed" in capsys.readouterr().out)
        assert len(upstream.headers) == 1
        assert [one.name for one in node.clerk.providers.snapshot.providers] == ["acme"]
        assert models_of(node, "acme") is None


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"])
async def test_a_list_is_never_fetched_from_a_metadata_address(
    node: Node, host: str, capsys: pytest.CaptureFixture[str]
):
    """A name that is made to resolve there would hand the provider's secret to the cloud's own
    service, and its answer to whoever made it."""
    await node.command(
        SaveProvider(name="acme", is_new=True, base_url=f"http://{host}:9/v1", secret=SECRET)
    )
    await until(lambda: "can not be listed" in capsys.readouterr().out)
    with pytest.raises(OSError, match="link-local or metadata"):
        await model_lists_connect(host.strip("[]"))


async def model_lists_connect(host: str) -> None:
    infos = await asyncio.get_running_loop().getaddrinfo(host, 9, type=socket.SOCK_STREAM)
    model_lists.allowed_socket(infos[0]).close()


async def test_a_worker_may_ask_for_fresh_lists_but_not_too_often(node: Node):
    """A storm of unknown model names must not become a storm at the provider."""
    async with Upstream() as upstream:
        await save(node, upstream)
        await until(lambda: models_of(node, "acme"))
        worker = await node.worker(0)
        for number in range(1, 4):
            worker.channel.send(FetchModels(number))
            await worker.hear(Refreshed, number)
        assert len(upstream.headers) == 1


async def test_a_provider_whose_secret_stays_shut_is_left_out_and_named(
    make_node: MakeNode, capsys: pytest.CaptureFixture[str]
):
    """Under a lost master key the node still starts, and one line says whom it misses."""
    node = await make_node()
    async with node.clerk.db.writing() as tx:
        for name, key in (("shut", b"x" * 32), ("open", node.options.master_key)):
            new = SaveProvider(name=name, is_new=True, base_url="http://127.0.0.1:9", secret="s")
            await rows.save(tx, key, new, None, 1)
    capsys.readouterr()
    for _ in range(2):
        await node.clerk.providers.load()
    assert [one.name for one in node.clerk.providers.snapshot.providers] == ["open"]
    lines = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert len(lines) == 1 and "shut" in lines[0]


async def test_what_changes_while_it_is_being_read_is_read_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
):
    """Two changes in a moment: the second must not be lost because the first is being read."""
    real, changes = routes.load, [1]

    async def load_while_another_changes(tx: Tx, master_key: bytes) -> Any:
        found = await real(tx, master_key)
        if changes:
            changes.pop()
            async with node.clerk.db.writing() as other:
                new = SaveProvider(name="late", is_new=True, base_url="http://127.0.0.1:9")
                await rows.save(other, node.options.master_key, new, None, 1)
            node.clerk.providers.reload_soon()
        return found

    monkeypatch.setattr(routes, "load", load_while_another_changes)
    node.clerk.providers.reload_soon()
    await until(lambda: [one.name for one in node.clerk.providers.snapshot.providers] == ["late"])


async def test_the_provider_of_the_settings_needs_no_row(make_node: MakeNode):
    """DEEPSEEK_API_KEY alone is enough, and ends the demo for good."""
    given = Provider("deepseek", Protocol.OPENAI, "http://127.0.0.1:9/v1", SECRET, models=("m",))
    node = await make_node(settings_provider=given)
    worker = await node.worker(0)
    assert worker.welcome.snapshot.providers == (given,)
    assert SECRET not in repr(node.options) and SECRET not in repr(worker.welcome)
    again = await make_node()
    assert again.clerk.providers.snapshot.providers == ()
