"""The supervisor with roles of a few lines, in real processes."""

import os
import signal
import socket
import time
from pathlib import Path

from tallygate.supervisor.signals import SAME_WISH_S
from tests.supervisor.node import TinyNode, is_alive, until


def test_the_doors_open_when_every_role_is_ready(node: TinyNode) -> None:
    """A client that is let in early would be refused by a role that is not there yet."""
    node.start()
    assert node.ask().startswith("gateway-")
    assert node.ask_private("clerk").startswith("clerk ")
    assert node.ask_private("control").startswith("control ")
    assert node.stop() == 0


def test_a_stopped_node_leaves_no_process_and_no_pid_file(node: TinyNode) -> None:
    """What is left behind would be mistaken for a running node."""
    pids = node.start().pids()
    assert len(pids) == 4
    assert node.stop() == 0
    assert not any(map(is_alive, pids))
    assert node.pids() == set()


def test_a_killed_role_serves_again_on_the_same_socket(node: TinyNode) -> None:
    """The listener outlives the worker: a client waits a moment instead of being refused."""
    node.start()
    for name in ("clerk", "control"):
        killed = node.pid(name)
        os.kill(killed, signal.SIGKILL)
        assert node.ask_private(name) != f"{name} {killed}"
    for name in ("gateway-0", "gateway-1"):
        killed = node.pid(name)
        os.kill(killed, signal.SIGKILL)
        for _ in range(20):
            assert not node.ask().endswith(f" {killed}")
    assert node.stop() == 0


def test_a_role_that_keeps_dying_is_started_again_and_again(node: TinyNode) -> None:
    """Whatever made it die may pass; giving up would need a person in the night."""
    node.start()
    for _ in range(3):
        killed = node.pid("gateway-0")
        os.kill(killed, signal.SIGKILL)
        until(lambda killed=killed: node.pid("gateway-0") != killed)
    until(lambda: any(node.ask().startswith("gateway-0") for _ in range(8)))


def test_a_rolling_restart_replaces_every_process_and_refuses_nobody(node: TinyNode) -> None:
    """Successors accept before predecessors leave, so an upgrade costs no request."""
    before = node.start().pids()
    node.signal(signal.SIGHUP)
    asked = 0
    while "rolling restart done" not in node.log:
        assert node.ask().startswith("gateway-"), node.log
        asked += 1
    assert asked > 0
    assert not node.pids() & before
    until(lambda: not any(map(is_alive, before)))
    assert node.ask_private("clerk").startswith("clerk ")
    assert node.stop() == 0


def test_two_clerks_never_run_at_the_same_time(node: TinyNode) -> None:
    """The clerk is the node's one writer; its successor begins when it has ended."""
    node.tell({"clerk": {"drain_s": 0.3}})
    node.start()
    old = node.pid("clerk")
    node.signal(signal.SIGHUP)
    until(lambda: node.pid("clerk") != old)
    assert not is_alive(old)
    until(lambda: "rolling restart done" in node.log)


def test_a_successor_that_cannot_start_leaves_its_predecessor_in_place(node: TinyNode) -> None:
    """A bad upgrade must not take down what still works."""
    before = node.start().pids()
    node.tell({"gateway-0": {"complain": "no room"}})
    node.signal(signal.SIGHUP)
    until(lambda: "rolling restart given up" in node.log)
    assert "no room" in node.log
    assert node.pids() == before
    assert node.ask()


def test_a_store_that_cannot_be_prepared_stops_a_rolling_restart(node: TinyNode) -> None:
    """New code over an old store is found before the first role is replaced."""
    before = node.start().pids()
    node.tell({"prepare": {"complain": "the store is too new"}})
    node.signal(signal.SIGHUP)
    until(lambda: "the store is too new" in node.log)
    assert node.pids() == before


def test_a_role_that_cannot_start_says_why_in_one_line(node: TinyNode) -> None:
    """The operator reads one line, not a traceback."""
    node.tell({"control": {"complain": "its\nsocket is gone"}})
    node.start()
    assert node.process.wait() == 1
    assert last_line(node) == "control cannot start: its socket is gone"
    assert not any(map(is_alive, node.pids()))


def test_an_unprepared_store_says_why_in_one_line(node: TinyNode) -> None:
    """The clerk prepares it, and it is not the clerk's fault."""
    node.tell({"clerk": {"complain": "the database refuses this password"}})
    node.start()
    assert node.process.wait() == 1
    assert last_line(node) == "the database refuses this password"


def test_a_second_node_on_the_same_folder_is_refused(node: TinyNode) -> None:
    """Two supervisors on one folder would be two writers of one journal."""
    node.start()
    second = TinyNode(node.data)
    (node.data / "log").rename(node.data / "log.first")
    second.start()
    assert second.process.wait() == 1
    second.process.stdout.close()
    assert last_line(second).startswith("another tallygate serves ")
    assert node.ask()


def test_a_second_node_on_the_same_port_is_refused(node: TinyNode, tmp_path: Path) -> None:
    """SO_REUSEPORT alone would let it in, and each would get half of the other's clients."""
    node.start()
    second = TinyNode(tmp_path / "second")
    second.tell({"port": node.port})
    second.start()
    assert second.process.wait() == 1
    second.process.stdout.close()
    assert last_line(second).startswith(f"port {node.port} on 127.0.0.1 is in use")
    assert node.ask()


def test_a_port_is_free_again_right_after_a_stop(node: TinyNode) -> None:
    """Old connections linger in the kernel for a minute; a restart must not wait for them."""
    port = node.start().port
    node.ask()
    assert node.stop() == 0
    node.process.stdout.close()
    node.tell({"port": port})
    node.start()
    assert node.port == port
    assert node.ask()


def test_no_orphan_survives_a_killed_supervisor(node: TinyNode) -> None:
    """Even a role that heeds neither signal nor end of file goes, and the folder is free again."""
    node.tell({"all": {"stubborn": True}})
    pids = node.start().pids()
    node.process.kill()
    node.process.wait()
    node.process.stdout.close()
    until(lambda: not any(map(is_alive, pids)))
    node.tell({})
    assert node.start().ask()


def test_the_next_supervisor_waits_for_the_orphans_of_a_killed_one(node: TinyNode) -> None:
    """Two clerks must not write for one node, not even for the moment that an orphan needs."""
    node.tell({"all": {"stubborn": True, "grace_s": 0.5}})
    pids = node.start().pids()
    node.process.kill()
    node.process.wait()
    node.process.stdout.close()
    node.tell({})
    node.start()
    assert node.opened, node.log
    assert not any(map(is_alive, pids))


def test_a_stubborn_role_is_killed_when_its_time_is_up(node: TinyNode) -> None:
    node.tell({"drain_timeout_s": 1, "gateway-0": {"stubborn": True}})
    pids = node.start().pids()
    assert node.stop() == 0
    assert not any(map(is_alive, pids))
    assert "killed" in node.log


def test_a_second_signal_hastens_the_end(node: TinyNode) -> None:
    """Whoever presses Ctrl-C twice does not want to wait for a minute."""
    node.tell({"drain_timeout_s": 600, "gateway-0": {"stubborn": True}})
    node.start()
    other = node.pid("gateway-1")
    node.signal(signal.SIGTERM)
    until(lambda: not is_alive(other))
    assert node.process.poll() is None
    time.sleep(2 * SAME_WISH_S)
    assert node.stop() == 0


def test_a_signal_that_comes_twice_at_once_is_one_wish(node: TinyNode) -> None:
    """`timeout` signals the process and its group: nobody asked to cut what still runs."""
    node.tell({"all": {"drain_s": 0.3}})
    node.start()
    for _ in range(2):
        node.signal(signal.SIGTERM)
        time.sleep(0.02)  # apart, so that the kernel does not make one of the two
    assert node.process.wait(20) == 0
    assert "killed" not in node.log


def test_a_signal_before_the_doors_are_open_ends_it_cleanly(node: TinyNode) -> None:
    """A container that is stopped while it starts leaves nothing behind."""
    node.start_soon()
    until(lambda: (node.data / "run" / "control.pid").exists() or node.process.poll() is not None)
    assert node.stop() == 0
    assert node.pids() == set()


def test_connections_queued_when_the_node_stops_are_still_answered(node: TinyNode) -> None:
    """A request in the listener's queue was accepted by the kernel: its client will not retry."""
    node.start()
    for name in ("gateway-0", "gateway-1"):
        os.kill(node.pid(name), signal.SIGSTOP)
    queued = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(20)]
    node.signal(signal.SIGTERM)
    time.sleep(0.05)  # lets the supervisor close its own listeners first, which is the hard case
    for name in ("gateway-0", "gateway-1"):
        os.kill(node.pid(name), signal.SIGCONT)
    for connection in queued:
        with connection:
            assert connection.makefile().readline().startswith("gateway-")
    assert node.process.wait() == 0


def last_line(node: TinyNode) -> str:
    return node.log.strip().splitlines()[-1]
