"""One process of one role, as its supervisor sees it."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tallygate.supervisor import handshake
from tallygate.supervisor.backoff import Backoff


@dataclass(frozen=True, slots=True)
class Duty:
    """What has to be done, whoever does it: a role, its socket, and how to start a process."""

    name: str
    role: str
    listener: socket.socket | None
    command: Sequence[str]
    environ: Mapping[str, str]
    brief: Callable[[], bytes]  # the settings of the next life
    is_exclusive: bool = False  # a successor may begin only when its predecessor has ended
    metrics: socket.socket | None = None  # a second socket, which the brief names by its number

    @property
    def sockets(self) -> list[socket.socket]:
        return [one for one in (self.listener, self.metrics) if one is not None]


@dataclass(slots=True)
class Post:
    """A duty and who fills it now; a successor is there during a rolling restart only."""

    duty: Duty
    child: "Child | None" = None
    successor: "Child | None" = None
    backoff: Backoff = field(default_factory=Backoff)
    refill_at: float | None = None

    @property
    def children(self) -> list["Child"]:
        return [one for one in (self.child, self.successor) if one is not None]

    @property
    def is_prepared(self) -> bool:
        return self.child is not None and self.child.is_prepared

    @property
    def is_ready(self) -> bool:
        return self.child is not None and self.child.is_ready


class Child:
    """A started process and the supervisor's ends of its pipes."""

    __slots__ = (
        "_brief_fd",
        "_go_fd",
        "_heard",
        "is_imported",
        "is_prepared",
        "is_ready",
        "name",
        "process",
        "started_at",
        "status_fd",
    )

    def __init__(self, duty: Duty, inherited_fds: Sequence[int]) -> None:
        self.name = duty.name
        self.is_imported = False
        self.is_prepared = False
        self.is_ready = False
        self.started_at = time.monotonic()
        self._heard = b""
        brief_fd, self._brief_fd = os.pipe()
        self.status_fd, status_fd = os.pipe()
        go_fd, self._go_fd = os.pipe()
        os.set_blocking(self.status_fd, False)
        listener_fd = duty.listener.fileno() if duty.listener else None
        sockets = [one.fileno() for one in duty.sockets]
        arguments = handshake.arguments(duty.role, listener_fd, brief_fd, status_fd, go_fd)
        handed_down = [brief_fd, status_fd, go_fd, *inherited_fds, *sockets]
        try:
            self.process = subprocess.Popen(  # noqa: S603 - the command is our own
                [*duty.command, *arguments],
                stdin=subprocess.DEVNULL,
                env=duty.environ,
                pass_fds=handed_down,
                process_group=0,  # Ctrl-C at the terminal is for the supervisor alone
            )
        finally:
            for fd in (brief_fd, status_fd, go_fd):
                os.close(fd)

    def __repr__(self) -> str:
        state = "ready" if self.is_ready else "starting"
        return f"<Child {self.name} pid={self.process.pid} {state}>"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def complaint(self) -> str:
        """Why the role said that it cannot start; "" if it said nothing."""
        _, found, line = self._heard.partition(handshake.COMPLAINT)
        return line.decode(errors="replace").strip() if found else ""

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def how_it_ended(self) -> str:
        """For the operator: what it said, or how it died."""
        if self.complaint:
            return self.complaint
        status = self.process.returncode
        if status is None or status >= 0:
            return f"it ended with status {status}"
        return f"it was ended by {signal.Signals(-status).name}"

    def brief(self, content: bytes) -> None:
        """Hand over the settings, once."""
        with contextlib.suppress(BrokenPipeError):  # it has died: its exit is about to be seen
            view = memoryview(content)
            while view:
                view = view[os.write(self._brief_fd, view) :]
        os.close(self._brief_fd)
        self._brief_fd = -1

    @property
    def is_briefed(self) -> bool:
        return self._brief_fd < 0

    def listen(self) -> bool:
        """Take in what the role says; False when it says no more."""
        try:
            said = os.read(self.status_fd, 65_536)
        except BlockingIOError:
            return True
        self._heard += said
        told, _, _ = self._heard.partition(handshake.COMPLAINT)
        self.is_imported = handshake.IMPORTED in told
        self.is_prepared = handshake.PREPARED in told
        self.is_ready = handshake.READY in told
        return bool(said)

    def go(self) -> None:
        """Let it accept."""
        with contextlib.suppress(BrokenPipeError):  # it has died: its exit is about to be seen
            os.write(self._go_fd, handshake.GO)

    def send(self, signal_number: signal.Signals) -> None:
        """Signal this very process; Popen knows if it has been waited for already."""
        self.process.send_signal(signal_number)

    def close(self) -> None:
        """Let go of the pipes, when the process has ended."""
        for fd in (self.status_fd, self._go_fd, self._brief_fd):
            if fd >= 0:
                os.close(fd)
        self.status_fd = self._go_fd = self._brief_fd = -1
