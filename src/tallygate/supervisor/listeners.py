"""The node's listening sockets: opened once, handed down, outliving whoever serves them.

On Linux every gateway slot has a socket of its own on the port (SO_REUSEPORT spreads connections
over them); elsewhere the slots share one, because SO_REUSEPORT spreads nothing there.
"""

import socket
import sys
from pathlib import Path

from tallygate.supervisor.failure import Failure, of_address

BACKLOG = 4096

Address = tuple[str, int] | tuple[str, int, int, int]


def bind_public(host: str, port: int, slots: int) -> list[socket.socket]:
    """Bind one socket for each gateway slot, none of them open to clients yet."""
    family, address = _resolve(host, port)
    try:
        if port:
            refuse_shared(family, address)
        return _bind_slots(family, address, slots)
    except OSError as error:
        raise of_address(host, port, error) from error


def open_public(sockets: list[socket.socket]) -> None:
    """From here on clients are let in. A program that took the port meanwhile is noticed."""
    name = sockets[0].getsockname()
    try:
        refuse_shared(sockets[0].family, name)
        for one in sockets:
            one.listen(BACKLOG)
    except OSError as error:
        raise of_address(name[0], name[1], error) from error


def open_metrics(host: str, port: int) -> socket.socket:
    """The port of its own for `/metrics`, on the address that the public port is on."""
    family, address = _resolve(host, port)
    try:
        refuse_shared(family, address)
        opened = _bind(family, address)
        opened.listen(BACKLOG)
    except OSError as error:
        raise of_address(host, port, error, "TALLYGATE_METRICS_PORT") from error
    return opened


def refuse_shared(family: socket.AddressFamily, address: Address) -> None:
    """OSError if somebody listens there: SO_REUSEPORT alone would share the port with them.

    SO_REUSEADDR lets old connections of an earlier server pass, but no live listener.
    """
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _allow_both_families(probe)
        probe.bind(address)


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, Address]:
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise Failure(f"--host {host} is not an address of this machine: {error}") from error
    for family, _, _, _, address in found:
        if isinstance(address[0], str):  # without IPv6 in the interpreter it could be raw bytes
            return family, address
    raise Failure(f"--host {host} is not an address of this machine")


def _bind_slots(family: socket.AddressFamily, address: Address, slots: int) -> list[socket.socket]:
    sockets = [_bind(family, address)]
    while len(sockets) < slots:
        if sys.platform == "linux":
            sockets.append(_bind(family, sockets[0].getsockname()))
        else:
            sockets.append(sockets[0].dup())
    return sockets


def _bind(family: socket.AddressFamily, address: Address) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _allow_both_families(opened)
        opened.bind(address)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


def _allow_both_families(opened: socket.socket) -> None:
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)


def open_private(path: Path) -> socket.socket:
    """A Unix socket that only this user may connect to."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.bind(str(path))
        path.chmod(0o600)
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        raise Failure(f"{path} cannot be listened on: {error}") from error
    return opened
