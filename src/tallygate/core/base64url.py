"""base64url without padding, strictly: what is not exactly that is a ValueError."""

import base64
import binascii
import re

_TEXT = re.compile(r"[A-Za-z0-9_-]*\Z", re.ASCII)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    if not _TEXT.match(text):
        raise ValueError("not base64url without padding")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error
