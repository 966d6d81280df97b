"""Who may report uses: whoever has the secret or signs by it, or anybody if it is open; from the
allowed networks only, if there are any. The operator always may.

The right secret is heard whatever others at its address have guessed: workers of many people share
the addresses of a cloud. Wrong ones are slowed down, and the admin token is not compared with what
an address offers that has used up its guesses.
"""

import hashlib
import hmac

from tallygate.core.cloudflare import Network, networks_of
from tallygate.core.errors import Code, Refusal
from tallygate.core.guesses import GuessBudget
from tallygate.core.signatures import is_signed, key_of
from tallygate.gateway.options import Options
from tallygate.gateway.plan import is_trusted
from tallygate.gateway.usage_head import UsageHead

ADDRESSES_MAX = 4096  # of which it is remembered whether they are allowed

_ELSEWHERE = Refusal(Code.ADDRESS_NOT_ALLOWED, "Uses are not reported from this address.")
_NO_SECRET = Refusal(
    Code.UNAUTHORIZED,
    "Send the usage secret as `X-Usage-Secret`, or sign the report with it (Standard Webhooks).",
)
_WRONG_SECRET = Refusal(Code.UNAUTHORIZED, "This is not the usage secret.")
_WRONG_SIGNATURE = Refusal(
    Code.INVALID_SIGNATURE, "The report's signature is wrong, or its time is not about now."
)
_TOO_MANY = Refusal(Code.RATE_LIMIT_EXCEEDED, "Too many wrong secrets came from this address.")


class UsageDoor:
    """Lets reports in. `budget` counts wrong guesses by address."""

    def __init__(
        self,
        secret: str,
        admin_token_hash: bytes,
        allowed: tuple[Network, ...],
        budget: GuessBudget,
        *,
        is_open: bool,
    ) -> None:
        self._secret_digest = _digest(secret.encode()) if secret else b""
        self._signing_key = key_of(secret) if secret else b""
        self._admin_digest = admin_token_hash
        self._allowed = allowed
        self._is_allowed: dict[str, bool] = {}
        self._budget = budget
        self._is_open = is_open

    def check_head(self, said: UsageHead, address: str, now_s: float) -> None:
        """What the head alone decides."""
        if self._is_operator(said, address, now_s):
            return
        if self._allowed and not self._may_come_from(address):
            raise _ELSEWHERE
        if self._is_open or self._has_secret(said):
            return
        if said.secret:
            raise self._wrong(_WRONG_SECRET, address, now_s)
        if not said.signatures:
            if said.tokens:  # somebody guesses the operator's
                raise self._wrong(_NO_SECRET, address, now_s)
            raise _NO_SECRET

    def check(self, said: UsageHead, address: str, body: bytes, now_s: float, wall_s: int) -> None:
        """What head and body decide together."""
        self.check_head(said, address, now_s)
        if said.is_operator or self._is_open or said.has_secret:
            return
        is_right = is_signed(
            self._signing_key,
            message_id=said.message_id,
            timestamp=said.timestamp,
            signatures=said.signatures,
            body=body,
            now_s=wall_s,
        )
        if not is_right:
            raise self._wrong(_WRONG_SIGNATURE, address, now_s)

    def _wrong(self, refusal: Refusal, address: str, now_s: float) -> Refusal:
        if self._budget.wait_s(address, now_s):
            return _TOO_MANY
        self._budget.spend(address, now_s)
        return refusal

    def _has_secret(self, said: UsageHead) -> bool:
        if said.has_secret is None:
            said.has_secret = _is(self._secret_digest, said.secret)
        return said.has_secret

    def _is_operator(self, said: UsageHead, address: str, now_s: float) -> bool:
        if said.is_operator is None:
            if said.tokens and self._budget.wait_s(address, now_s):
                return False  # not heard, and heard again later
            said.is_operator = any(_is(self._admin_digest, one) for one in said.tokens)
        return said.is_operator

    def _may_come_from(self, address: str) -> bool:
        known = self._is_allowed.get(address)
        if known is None:
            if len(self._is_allowed) >= ADDRESSES_MAX:
                self._is_allowed.clear()
            known = self._is_allowed[address] = is_trusted(address, self._allowed)
        return known


def usage_door_of(options: Options) -> UsageDoor:
    """The door that the settings describe."""
    return UsageDoor(
        options.usage_secret,
        options.admin_token_hash,
        networks_of(options.usage_allow),
        GuessBudget(),
        is_open=options.usage_open,
    )


def _is(digest: bytes, offered: bytes) -> bool:
    return bool(digest) and hmac.compare_digest(digest, _digest(offered))


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
