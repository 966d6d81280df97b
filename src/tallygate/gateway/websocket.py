"""Whether a backend has really agreed to speak WebSocket: only then do bytes pass unread.

A proxy that believes any 101 can be made to open a tunnel by one end alone (RFC 6455, 4.1).
"""

import base64
import hashlib

from tallygate.wire.answer import AnswerHead
from tallygate.wire.head import RequestHead

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


def is_accepted(request: RequestHead, answer: AnswerHead) -> bool:
    key = request.value(b"sec-websocket-key")
    if not request.is_websocket or answer.upgrade != b"websocket" or not key:
        return False
    digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
    expected = base64.b64encode(digest)
    for line in answer.kept.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"sec-websocket-accept":
            return value.strip(b" \t") == expected
    return False
