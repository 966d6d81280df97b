"""The options of a client's socket that is not there."""

import socket
import struct


class SocketOptions:
    """Knows whether the connection would end by a reset, were it to end now."""

    def __init__(self) -> None:
        self.resets = False

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER)
        is_on, seconds = struct.unpack("ii", value)
        assert not seconds, "waiting for the client would stop the whole worker"
        self.resets = bool(is_on)
