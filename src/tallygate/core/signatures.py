"""Checking who signed a delivery: Standard Webhooks (id, time and raw body), or the body alone.

Several signatures may be sent while a secret is rotated; all comparisons take constant time. How a
signature is made is in webhook_signature.py.
"""

import hashlib
import hmac
from typing import Final

from tallygate.core.webhook_signature import sign

SKEW_S_MAX: Final = 300
SIGNATURES_MAX: Final = 16
_SECONDS_LENGTH_MAX: Final = 12


def is_signed(
    key: bytes, *, message_id: str, timestamp: str, signatures: str, body: bytes, now_s: int
) -> bool:
    """Whether one of the Standard Webhooks signatures is ours, and its time is about now."""
    if not message_id or not timestamp.isdecimal() or len(timestamp) > _SECONDS_LENGTH_MAX:
        return False
    if not timestamp.isascii() or abs(int(timestamp) - now_s) > SKEW_S_MAX:
        return False
    wanted = sign(key, message_id, int(timestamp), body).encode()
    offered = signatures.encode().split(b" ")[:SIGNATURES_MAX]
    return sum(hmac.compare_digest(wanted, one) for one in offered) > 0


def is_plainly_signed(key: bytes, signature: str, body: bytes) -> bool:
    """Whether `sha256=<hex>` is the digest of the raw body under our key."""
    wanted = b"sha256=" + hmac.digest(key, body, hashlib.sha256).hex().encode()
    return hmac.compare_digest(wanted, signature.strip().lower().encode())
