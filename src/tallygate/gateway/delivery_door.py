"""Who may deliver: by a key, by a signature, or by both if both are set; the operator always may.

Keys are compared as digests and in constant time, once per head. An address that has used up its
wrong guesses is refused unheard until it may guess again.
"""

import hashlib
import hmac

from tallygate.core.errors import Code, Refusal
from tallygate.core.guesses import GuessBudget
from tallygate.core.signatures import is_plainly_signed, is_signed, key_of
from tallygate.gateway.delivery_head import DeliveryHead
from tallygate.gateway.options import Options

_CLOSED = Refusal(
    Code.WEBHOOK_CLOSED,
    "The webhook is closed: set TALLYGATE_DIFY_WEBHOOK_KEY or TALLYGATE_DIFY_WEBHOOK_SECRET.",
)
_NO_KEY = Refusal(
    Code.UNAUTHORIZED, "Send the webhook's key as `Authorization: Bearer` or `X-API-Key`."
)
_WRONG_KEY = Refusal(Code.UNAUTHORIZED, "This is not the webhook's key.")
_NOT_SIGNED = Refusal(
    Code.INVALID_SIGNATURE,
    "Sign the delivery: Standard Webhooks headers, or `X-Signature: sha256=<hex>`.",
)
_WRONG_SIGNATURE = Refusal(
    Code.INVALID_SIGNATURE, "The delivery's signature is wrong, or its time is not about now."
)
_TOO_MANY = Refusal(Code.RATE_LIMIT_EXCEEDED, "Too many wrong keys came from this address.")


class DeliveryDoor:
    """Lets deliveries in. `budget` counts wrong guesses by address."""

    def __init__(self, key: str, secret: str, admin_token_hash: bytes, budget: GuessBudget) -> None:
        self._key_digest = _digest(key.encode()) if key else None
        self._signing_key = key_of(secret) if secret else None
        self._admin_digest = admin_token_hash
        self._budget = budget

    def check_key(self, said: DeliveryHead, address: str, now_s: float) -> None:
        """What the head alone decides."""
        if self._is_operator(said):
            return
        if self._key_digest is None and self._signing_key is None:
            raise _CLOSED
        if self._budget.wait_s(address, now_s):
            raise _TOO_MANY
        if self._key_digest is None:
            if not said.signatures and not said.plain_signature:
                raise _NOT_SIGNED
        elif not said.tokens:
            raise _NO_KEY
        elif not self._has_key(said):
            self._budget.spend(address, now_s)
            raise _WRONG_KEY

    def check_signature(
        self, said: DeliveryHead, address: str, body: bytes, now_ms: int, clock_offset_ms: int
    ) -> None:
        """What head and body decide together, once the key is right."""
        key = self._signing_key
        if key is None or self._is_operator(said):
            return
        if said.signatures:
            is_right = is_signed(
                key,
                message_id=said.message_id,
                timestamp=said.timestamp,
                signatures=said.signatures,
                body=body,
                now_s=(now_ms + clock_offset_ms) // 1000,
            )
        elif said.plain_signature:
            is_right = is_plainly_signed(key, said.plain_signature, body)
        else:
            raise _NOT_SIGNED
        if not is_right:
            self._budget.spend(address, now_ms / 1000)
            raise _WRONG_SIGNATURE

    def is_known(self, said: DeliveryHead) -> bool:
        """Whether the head alone says who sends it."""
        return self._is_operator(said) or (self._key_digest is not None and self._has_key(said))

    def _has_key(self, said: DeliveryHead) -> bool:
        if said.has_key is None:
            said.has_key = _holds(said.tokens, self._key_digest)
        return said.has_key

    def _is_operator(self, said: DeliveryHead) -> bool:
        if said.is_operator is None:
            said.is_operator = _holds(said.tokens, self._admin_digest)
        return said.is_operator


def door_of(options: Options) -> DeliveryDoor:
    """The door that the settings describe."""
    key, secret = options.dify_webhook_key, options.dify_webhook_secret
    return DeliveryDoor(key, secret, options.admin_token_hash, GuessBudget())


def _holds(tokens: tuple[bytes, ...], digest: bytes | None) -> bool:
    if not digest:
        return False
    return sum(hmac.compare_digest(digest, _digest(token)) for token in tokens) > 0


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
