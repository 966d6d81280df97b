"""Requests that are relayed to the control plane: nothing of one reaches another's connection."""

from tests.gateway.exchange_text import reply, request
from tests.gateway.rig import rigged


def test_a_client_that_is_slow_at_the_end_pauses_nobody_elses_answer() -> None:
    """With the last piece the connection goes to whoever waits for one."""
    with rigged({}, upstream_connections_max=1) as rig:
        slow, other = rig.client(), rig.client()
        slow.send(request("GET", "/admin/keys"))
        other.send(request("GET", "/admin/usage"))
        slow.transport.is_stuck = True
        slow.transport.high = 1
        rig.upstream.send(reply(body=b'{"is": "slow"}'))
        assert b"/admin/usage" in rig.upstream.transport.written
        assert not rig.upstream.transport.is_reading_paused
        rig.upstream.send(reply(body=b'{"is": "other"}'))
        assert other.answer().json == {"is": "other"}
