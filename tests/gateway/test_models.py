"""What there is to call: the list of models, and the two questions of load balancers."""

import pytest

from tallygate.core.ports import FetchModels
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import Answer, request
from tests.gateway.rig import Rig, provider, rigged

KEY = {"k": key_with(daily(1, 0))}
PROVIDERS = (
    provider("p0", models=("a", "b"), aliases={"short": "a"}),
    provider("p1", models=("b", "c/d"), priority=-1),
    provider("p2"),
)


def get(rig: Rig, path: str = "/v1/models", method: str = "GET", **headers: str) -> Answer:
    client = rig.client()
    client.send(request(method, path, **headers))
    answer = client.answer(is_head=method == "HEAD")
    assert client.unread == b""
    return answer


def test_the_list_is_merged_and_costs_nothing() -> None:
    """A key that is used up still sees it; a provider whose list is unknown lists nothing."""
    with rigged(KEY, *PROVIDERS) as rig:
        listed = get(rig).json
        assert listed["object"] == "list"
        owners = {one["id"]: one["owned_by"] for one in listed["data"]}
        assert owners == {"a": "p0", "b": "p1", "c/d": "p1", "short": "p0"}
        assert rig.entries() == []
        assert rig.upstreams == []
        assert len(rig.clerk.sent(FetchModels)) == 1


def test_a_key_sees_the_models_that_it_may_use() -> None:
    keys = {"k": key_with(models=("b", "c/*"))}
    with rigged(keys, *PROVIDERS) as rig:
        assert [one["id"] for one in get(rig).json["data"]] == ["b", "c/d"]
        assert get(rig, "/v1/models/a").status == 404
        assert get(rig, "/v1/models/c/d").json["owned_by"] == "p1"


def test_one_model_is_described_or_unknown() -> None:
    with rigged(KEY, *PROVIDERS) as rig:
        assert get(rig, "/v1/models/a").json["id"] == "a"
        unknown = get(rig, "/v1/models/z")
        assert (unknown.status, unknown.code) == (404, "model_not_found")
        assert get(rig, "/v1/models/a", "HEAD").status == 200
        assert get(rig, method="POST").status == 405


@pytest.mark.parametrize(
    ("changes", "status"), [({"is_active": False}, 403), ({"expires_ms": 1}, 403), (None, 401)]
)
def test_a_key_is_needed(changes: dict[str, object] | None, status: int) -> None:
    keys = {} if changes is None else {"k": key_with(**changes)}
    with rigged(keys, *PROVIDERS) as rig:
        assert get(rig).status == status
        assert get(rig, authorization="").status == 401


def test_a_key_may_not_list_from_an_address_that_it_may_not_call_from() -> None:
    with rigged({"k": key_with(addresses=("10.0.0.0/8",))}, *PROVIDERS) as rig:
        assert get(rig).code == "address_not_allowed"
        client = rig.client("10.1.1.1")
        client.send(request("GET", "/v1/models"))
        assert client.answer().status == 200


def test_a_setting_opens_the_list_to_everybody() -> None:
    """A key that is sent all the same still narrows it."""
    with rigged({"k": key_with(models=("a",))}, *PROVIDERS, public_models=True) as rig:
        assert len(get(rig, authorization="").json["data"]) == 4
        assert len(get(rig, authorization="Bearer unknown").json["data"]) == 4
        assert len(get(rig).json["data"]) == 1


def test_the_list_that_is_known_is_given_when_the_clerk_is_slow_or_away() -> None:
    with rigged(KEY, *PROVIDERS) as rig:
        rig.clerk.held = {FetchModels}
        client = rig.client()
        client.send(request("GET", "/v1/models"))
        assert client.unread == b""
        rig.pass_time(5)
        assert len(client.answer().json["data"]) == 4
        rig.clerk.held = set()
        rig.settle()
        assert client.unread == b""
        rig.clerk.is_away = True
        assert len(get(rig).json["data"]) == 4
        assert not rig.gateway.running
        assert not rig.gateway._listings


def test_a_client_that_leaves_during_the_refresh_leaves_nothing() -> None:
    with rigged(KEY, *PROVIDERS) as rig:
        rig.clerk.held = {FetchModels}
        client = rig.client()
        client.send(request("GET", "/v1/models"))
        client.hang_up()
        rig.clerk.held = set()
        rig.settle()
        assert not rig.gateway.running


def test_a_demo_has_its_one_model() -> None:
    with rigged(KEY, provider("demo", is_demo=True)) as rig:
        assert [one["id"] for one in get(rig).json["data"]] == ["demo/echo"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told_to_anybody(path: str) -> None:
    with rigged({}) as rig:
        assert get(rig, path, authorization="").json["ok"] is True
        assert get(rig, path, "HEAD").status == 200
        assert get(rig, path, "POST").status == 405
