"""A role of a few lines, run by the supervisor's tests in a process of its own.

Its brief is JSON: `line` is what it answers to each connection, `complain` makes it refuse to
start, `stubborn` makes it ignore SIGTERM and the end of its supervisor.
"""

import json
import os
import select
import signal
import sys
import time

from tallygate.supervisor.handshake import Orphaned, from_arguments


def main() -> int:
    handshake = from_arguments(sys.argv[1:])
    try:
        brief = json.loads(handshake.brief())
    except Orphaned:
        return 1
    if brief.get("complain"):
        handshake.complain(brief["complain"])
        return 1
    handshake.prepared()
    if handshake.role == "prepare":
        handshake.ready()
        return 0
    return serve(handshake, brief)


def serve(handshake, brief) -> int:
    leaving = []
    wake_fd, wake_write_fd = os.pipe()
    os.set_blocking(wake_write_fd, False)
    signal.set_wakeup_fd(wake_write_fd)
    signal.signal(signal.SIGTERM, lambda *_: None if brief.get("stubborn") else leaving.append(1))
    handshake.end_with_supervisor(brief.get("grace_s", 0.2))
    listener = handshake.listener()
    listener.setblocking(False)
    handshake.ready()
    if select.select([handshake.go_fd, wake_fd], [], []) and not leaving:
        assert os.read(handshake.go_fd, 1) == b"G"
    while True:
        answer_queued(listener, brief)
        if leaving:
            time.sleep(brief.get("drain_s", 0))
            return 0
        select.select([listener, wake_fd], [], [])


def answer_queued(listener, brief) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        with connection:
            connection.setblocking(True)
            connection.sendall(f"{brief['line']} {os.getpid()}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
