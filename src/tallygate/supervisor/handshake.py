"""How a role's process and its supervisor talk: three pipes, inherited by number.

    brief   supervisor → role   the settings, whole, then end of file; they hold secrets, so they
                                are never in arguments or the environment
    status  role → supervisor   `I` imported, `P` the store is prepared (the clerk),
                                `R` ready, `E` and one line: why it cannot start
    go      supervisor → role   `G` accept from now on; end of file: the supervisor is gone

A role imports its code before it reads its brief, so that all roles import side by side while the
store is being prepared, and a successor of the clerk is warm before its predecessor leaves.
"""

import os
import select
import socket
import threading
from collections.abc import Sequence

IMPORTED = b"I"
PREPARED = b"P"
READY = b"R"
COMPLAINT = b"E"
GO = b"G"
LINE_BYTES_MAX = 4000  # a pipe takes this much in one piece

_RECEIVED_MAX = 1 << 20
_NO_FD = "-"


class Orphaned(Exception):
    """The supervisor went away before it gave this process anything to do."""


class Handshake:
    """The role's end of the pipes."""

    __slots__ = ("_brief_fd", "_status_fd", "go_fd", "listener_fd", "role")

    def __init__(
        self, role: str, listener_fd: int | None, brief_fd: int, status_fd: int, go_fd: int
    ) -> None:
        self.role = role
        self.listener_fd = listener_fd
        self._brief_fd = brief_fd
        self._status_fd = status_fd
        self.go_fd = go_fd

    def __repr__(self) -> str:
        return f"<Handshake {self.role} go_fd={self.go_fd}>"

    def brief(self) -> bytes:
        """Say that the code is imported, then wait for the settings."""
        self._tell(IMPORTED)
        content = b""
        while piece := os.read(self._brief_fd, _RECEIVED_MAX):
            content += piece
        os.close(self._brief_fd)
        if not content:
            raise Orphaned
        return content

    def listener(self) -> socket.socket:
        """The socket that this role serves."""
        assert self.listener_fd is not None, "this role was given no socket"
        return socket.socket(fileno=self.listener_fd)

    def prepared(self) -> None:
        """Say that the store may be opened by the other roles."""
        self._tell(PREPARED)

    def ready(self) -> None:
        """Say once that this role is able to serve."""
        self._tell(READY)

    def complain(self, line: str) -> None:
        """Say why this role cannot start, in one line for the operator."""
        text = " ".join(line.split()).encode()[:LINE_BYTES_MAX]
        self._tell(COMPLAINT + text + b"\n")

    def end_with_supervisor(self, grace_s: float) -> None:
        """Should the supervisor die and this role not end by itself in time: end it.

        The thread waits for the hang-up of its own copy of `go`, so whatever the role does with
        `go_fd`, and however stuck it is, no orphan stays behind.
        """
        fd = os.dup(self.go_fd)
        threading.Thread(target=_end_after_hang_up, args=(fd, grace_s), daemon=True).start()

    def _tell(self, message: bytes) -> None:
        try:
            os.write(self._status_fd, message)
        except BrokenPipeError:
            raise Orphaned from None


def _end_after_hang_up(fd: int, grace_s: float) -> None:
    poll = select.poll()
    poll.register(fd, 0)  # a hang-up is reported whatever was asked for; a waiting `G` is not
    while not any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll()):
        pass
    threading.Event().wait(grace_s)
    os._exit(1)


def arguments(
    role: str, listener_fd: int | None, brief_fd: int, status_fd: int, go_fd: int
) -> list[str]:
    """What a role's process is started with: its name and numbers, nothing secret."""
    listener = _NO_FD if listener_fd is None else str(listener_fd)
    return [role, listener, str(brief_fd), str(status_fd), str(go_fd)]


def from_arguments(given: Sequence[str]) -> Handshake:
    """The reverse of `arguments`, in the role's process."""
    role, listener, brief_fd, status_fd, go_fd = given
    listener_fd = None if listener == _NO_FD else int(listener)
    return Handshake(role, listener_fd, int(brief_fd), int(status_fd), int(go_fd))
