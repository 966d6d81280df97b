"""A provider may use the secrets of a pool: gateways get those that live, and as they are now."""

import msgspec
import pytest

from tallygate.core.commands import SaveProvider
from tallygate.core.credential_commands import CreateCredential, NewCredential, PatchCredential
from tallygate.core.ports import CredentialUse
from tallygate.core.route_commands import RouteView, SaveRoute
from tallygate.core.routes import PoolUse
from tallygate.store import credentials
from tests.clerk.samples import Node

pytestmark = pytest.mark.anyio


async def add(node: Node, kind: str, **parts: str) -> int:
    given = "refresh_token" if kind == "oauth2" else "secret"
    new = NewCredential(kind=kind, name="n", pool="cards", parts=parts, given=given)
    return int((await node.command(CreateCredential(new=new)))["id"])


async def secrets(node: Node) -> dict[str, str]:
    await node.clerk.providers.load()
    return {one.name: one.secret for one in node.clerk.providers.snapshot.providers}


async def test_a_routes_backend_is_shown_the_pool_as_it_is_now(any_node: Node) -> None:
    """Also when it was renewed; and nobody reads a secret out of the route."""
    node = any_node
    first = await add(node, "openai-key", secret="sk-1")
    await add(node, "openai-key", secret="ключ")
    change = SaveRoute(id=None, path="/svc", backend_url="http://10.0.0.7", credentials="cards")
    made = await node.command(change, into=RouteView)
    assert (made.credentials, made.credential_header, made.credential_query) == ("cards", "", "")

    async def use() -> PoolUse | None:
        await node.clerk.providers.load()
        return node.clerk.providers.snapshot.routes[0].credentials

    header = PoolUse("cards", "authorization", "Bearer {secret}", "", ((first, "sk-1"),))
    assert await use() == header, "a header can not hold the other one"
    patch = PatchCredential(id=first, parts={"secret": "sk-2"}, given="secret")
    await node.command(patch)
    assert await use() == msgspec.structs.replace(header, members=((first, "sk-2"),))
    await node.command(SaveRoute(id=made.id, credential_header="X-Key: {secret}"))
    assert await use() == PoolUse("cards", "x-key", "{secret}", "", ((first, "sk-2"),))
    await node.command(SaveRoute(id=made.id, credential_header="", credential_query="key"))
    found = await use()
    assert found is not None and (found.header, found.parameter) == ("", "key")
    assert len(found.members) == 2, "a query quotes what it holds"
    await node.command(SaveRoute(id=made.id, credentials="", credential_query=""))
    assert await use() is None


async def test_only_what_can_be_renewed_is_said_to_be(any_node: Node) -> None:
    """Gateways wait for those: a kind without a way to a new secret is not worth a second."""
    node = any_node
    for name in ("routes", "providers"):
        change: SaveProvider | SaveRoute
        if name == "providers":
            change = SaveProvider(
                name="p",
                is_new=True,
                base_url="http://127.0.0.1:9/v1",
                models=["m"],
                credentials="cards",
            )
        else:
            change = SaveRoute(id=None, path="/s", backend_url="http://b", credentials="cards")
        await node.command(change)
    await add(node, "openai-key", secret="sk-1")
    lasting = await add(node, "oauth2", refresh_token="r", access_token="a")
    await node.clerk.providers.load()
    snapshot = node.clerk.providers.snapshot
    assert [one.credential_id for one in snapshot.providers if one.is_renewable] == [lasting]
    use = snapshot.routes[0].credentials
    assert use is not None and use.renewable == (lasting,) and len(use.members) == 2


async def test_each_living_credential_stands_for_its_provider(any_node: Node) -> None:
    """Fresh secrets after each renewal; none of who is quarantined, or has none to show yet."""
    node = any_node
    change = SaveProvider(name="p", is_new=True, base_url="http://127.0.0.1:9/v1", models=["m"])
    change.credentials = "cards"
    await node.command(change)
    assert await secrets(node) == {}, "nobody may be asked with no secret"
    first = await add(node, "openai-key", secret="sk-1")
    second = await add(node, "oauth2", refresh_token="r", access_token="a")
    await add(node, "oauth2", refresh_token="not renewed yet")
    await add(node, "telnet", secret="of no known kind")
    assert await secrets(node) == {f"p#{first}": "sk-1", f"p#{second}": "a"}
    await node.clerk.keepers.heard(CredentialUse([first], [second]))
    async with node.clerk.db.reading() as tx:
        assert (await credentials.get(tx, first)).last_used_ms is not None
        assert (await credentials.get(tx, second)).last_used_ms is None
        assert await credentials.is_pressing(tx, 0, 0)
