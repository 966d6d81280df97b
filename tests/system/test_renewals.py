"""A route's only credential expires at its backend: the request that finds out is served, later."""

import threading

import pytest

from tests.fakes import credential_upstream
from tests.fakes.upstream import RunningUpstream
from tests.system.conftest import MakeNode
from tests.system.harness import until
from tests.system.test_rotation import tallygate

pytestmark = pytest.mark.slow


def test_requests_wait_for_one_renewal_and_none_of_them_sees_the_401(
    make_node: MakeNode, upstream: RunningUpstream
) -> None:
    """From the refusal over clerk, keeper and issuer back to the gateway, with real processes."""
    with credential_upstream.running() as issuer:
        issuer.slow_s = 0.0
        issuer.refresh_tokens.add("refresh-0")
        settings = {"TALLYGATE_KEEPER_INTERVAL_H": "0", "TALLYGATE_RENEWAL_WAIT_S": "60"}
        node = make_node(workers=1, settings=settings)
        url = f"token_url={issuer.base_url()}/token"
        words = ("keeper", "add", "--kind", "oauth2", "--name", "o", "--var", url)
        secret = '{"refresh_token":"refresh-0","access_token":"unauthorized-by-now"}'
        assert tallygate(node, *words, secret=secret)[0] == 0
        route = {"path": "/svc", "backend_url": issuer.base_url(), "credentials": "oauth2"}
        node.admin("POST", "/api/routes", {**route, "strip_prefix": True})
        token = str(node.admin("POST", "/api/tokens", {"name": "t"})["token"])
        headers = {"x-api-key": token}
        until(lambda: node.ask("GET", "/svc/other", headers=headers)[0] == 404, "it is routed")
        statuses: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: statuses.append(node.ask("GET", "/svc/me", headers=headers)[0])
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 4
        assert issuer.spent == {"refresh-0": 1}, "a token that works once was spent once"
