"""A gateway worker answers every shared vector as the file says: the same as core, and the edge."""

import json
from pathlib import Path
from typing import Any

import pytest

from tallygate.core.ports import Key
from tallygate.core.routes import Route
from tests.gateway.exchange_text import reply
from tests.gateway.rig import rigged

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "contract" / "route-vectors.json").read_text("utf-8"))
CASES = [
    pytest.param(group, case, id=f"{group['name']}: {case['name']}")
    for group in VECTORS["groups"]
    for case in group["requests"]
]
NOON_MS = 1_767_268_800_000  # the rig's time
CONTROL = b"x-forwarded-for: 127.0.0.1\r\nx-request-id:"


def keys_of(group: Any) -> dict[str, Key]:
    return {
        one["token"]: Key(
            *(number, 1, "ntk", one["is_active"], one["expires_ms"], "", "", None),
            None if (nets := one.get("addresses")) is None else tuple(nets),
            tuple(one["scopes"]),
            (),
        )
        for number, one in enumerate(group["tokens"], 1)
    }


def backend_of(group: Any, case: Any) -> Any:
    """The route that the verdict names: of the request's host, if that has one of this path."""
    named = [one for one in group["routes"] if one["path"] == case["verdict"]["route"]]
    host = case["host"].lower().partition(":")[0].rstrip(".")
    return next((one for one in named if one["host"] == host), named[0])


@pytest.mark.parametrize(("group", "case"), CASES)
def test_a_gateway_decides_every_shared_vector_as_it_says(group: Any, case: Any) -> None:
    """What one gate lets through, the other does; a 404 here is the control plane's to say."""
    assert group["now_ms"] == NOON_MS
    verdict = case["verdict"]
    with rigged(keys_of(group)) as rig:
        rig.route(
            *(
                Route(number, **{**one, "methods": tuple(one["methods"])})
                for number, one in enumerate(group["routes"], 1)
            )
        )
        fields = {"host": case["host"], **case["headers"]}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        client = rig.client(case.get("address", "127.0.0.1"))
        client.send(f"{case['method']} {case['target']} HTTP/1.1\r\n{lines}\r\n".encode())
        sent = rig.upstreams[-1].transport.written if rig.upstreams else b""
        if verdict["why"] == "ok":
            backend = backend_of(group, case)
            assert sent.startswith(f"{case['method']} {verdict['forwarded']} HTTP/1.1\r\n".encode())
            assert backend["backend_url"].split("/")[2].encode() in sent
            rig.upstream.send(reply(200, b"" if case["method"] == "HEAD" else b"fine"))
            assert client.answer(is_head=case["method"] == "HEAD").status == 200
            assert [one.route for one in rig.entries()] == [verdict["route"]]
        elif verdict["why"] == "no_route":
            assert b"via: " not in sent
            assert rig.gateway.backends.pools == []
            assert rig.entries() == []
        else:
            refused = client.answer(is_head=case["method"] == "HEAD")
            assert refused.status == verdict["status"]
            assert refused.code == VECTORS["refusals"][verdict["why"]]["code"]
            assert sent == b""
            assert rig.entries() == []
