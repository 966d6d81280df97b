"""Stopping and restarting: no client notices, nothing is left behind.

The clients here open a connection for each request. On one that is kept alive, a request may cross
with the server's closing of it whatever the server does; clients repeat such a request (RFC 9112,
9.3.1), and none of it has been read.
"""

import signal
import time

import pytest

from tests.system.conftest import MakeNode
from tests.system.harness import is_alive, until
from tests.system.load import Load
from tests.system.test_crashes import under_load

pytestmark = pytest.mark.slow

CLIENTS = 16


def test_a_rolling_restart_under_load_drops_no_request(make_node: MakeNode) -> None:
    """An upgrade at noon: every process is replaced while clients go on asking."""
    node = make_node(workers=2)
    key = node.make_key(None)
    before = node.pids()
    load = Load([node.url], key, model="slow-first-byte-20", is_keeping_alive=False)
    with under_load(load, CLIENTS):
        until(lambda: load.outcomes.answered, "the first answer")
        node.send(signal.SIGHUP)
        until(lambda: "rolling restart done" in node.log, "the rolling restart is done")
    assert load.outcomes.failures == []
    assert set(load.outcomes.statuses) == {200}
    after = node.pids()
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert node.requests_of(key) == len(load.outcomes.answered)


def test_a_stop_under_load_drops_no_request_that_was_accepted(make_node: MakeNode) -> None:
    """SIGTERM: what was let in is answered in full; whoever comes later finds the port closed."""
    node = make_node(workers=2)
    key = node.make_key(None)
    load = Load([node.url], key, "slow-first-byte-20", is_stream=True, is_keeping_alive=False)
    with under_load(load, CLIENTS):
        until(lambda: len(load.outcomes.answered) > 100, "some answers")
        assert node.process is not None
        process = node.process
        node.send(signal.SIGTERM)
        assert process.wait(30) == 0
    assert set(load.outcomes.statuses) == {200}
    assert len(load.outcomes.answered) == len(load.outcomes.statuses)
    refused = ("Cannot connect", "Connect call failed", "ServerDisconnected", "reset by peer")
    assert [one for one in load.outcomes.failures if not any(map(one.__contains__, refused))] == []
    node.start()
    assert node.requests_of(key) == len(load.outcomes.answered)


def test_idle_connections_do_not_delay_a_stop(make_node: MakeNode) -> None:
    """Kept-alive connections are closed at once: a stop takes no longer than what still runs."""
    node = make_node(workers=1, settings={"TALLYGATE_DRAIN_TIMEOUT_S": "600"})
    key = node.make_key(None)
    load = Load([node.url], key)
    with under_load(load, CLIENTS):
        until(lambda: load.outcomes.answered, "the first answer")
        load.stop()
        time.sleep(0.1)  # lets the running requests end, so that all connections are idle
    assert node.stop() == 0


def test_no_process_outlives_a_killed_supervisor(make_node: MakeNode) -> None:
    """The out-of-memory killer takes the supervisor: its roles drain, then the next one starts."""
    node = make_node(workers=2, settings={"TALLYGATE_DRAIN_TIMEOUT_S": "2"})
    key = node.make_key(None)
    assert node.chat(key)[0] == 200
    pids = node.pids()
    node.send(signal.SIGKILL)
    assert node.process is not None
    node.process.wait()
    until(lambda: not any(map(is_alive, pids.values())), "every orphan has ended")
    node.start()
    assert node.chat(key)[0] == 200
    assert node.requests_of(key) == 2
