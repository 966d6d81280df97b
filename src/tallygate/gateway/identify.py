"""Whether a key that is known may be used now, and from here."""

from tallygate.core.addresses import is_address_allowed
from tallygate.core.errors import Code, Refusal
from tallygate.gateway.known_keys import KnownKey


def check_key(known: KnownKey, address: str, wall_ms: int) -> None:
    """Refusal when it is inactive, expired, or not for this address."""
    key = known.key
    if not key.is_active:
        raise Refusal(Code.KEY_INACTIVE, "This API key has been deactivated.")
    if known.expires_ms <= wall_ms:
        raise Refusal(Code.KEY_EXPIRED, "This API key has expired.")
    if key.addresses is not None and not is_address_allowed(address, key.addresses):
        raise Refusal(Code.ADDRESS_NOT_ALLOWED, "This API key may not be used from your address.")
