"""Accounts as the door sees them: a cookie or a key becomes a caller, if it is good for one now."""

import contextlib
import ipaddress

from tallygate.control.callers import Caller, Kind, account_name
from tallygate.control.cookies import hash_of
from tallygate.control.orders import Clerk
from tallygate.core.account_commands import TouchSession
from tallygate.core.accounts import Role
from tallygate.core.errors import Code, Refusal, StoreRefused, StoreUnavailable
from tallygate.core.keys import hash_key, is_plausible
from tallygate.core.ports import Actor, Key
from tallygate.store import keys, sessions
from tallygate.store.database import Database

SEEN_EVERY_MS = 60_000  # a session's use is written down no more often than that


class People:
    """Looks up who comes; changes nothing but the time a session was last used."""

    def __init__(self, database: Database, clerk: Clerk, idle_ms: int, public_url: str) -> None:
        self._database = database
        self._clerk = clerk
        self._idle_ms = idle_ms
        self.public_url = public_url

    async def signed_in(self, cookie: str) -> Caller | None:
        hash_, now_ms = hash_of(cookie), self._database.system_clock_ms()
        async with self._database.reading() as tx:
            found = await sessions.find(tx, hash_, now_ms, self._idle_ms)
        if found is None:
            return None
        name = account_name(found.account_id)
        if now_ms - found.seen_ms >= min(SEEN_EVERY_MS, self._idle_ms // 2):
            with contextlib.suppress(StoreUnavailable):  # the session ends a little earlier, then
                await self._clerk.command(TouchSession(hash=hash_), Actor(name, "", ""))
        return Caller(name, Role(found.role), Kind.SESSION, found.account_id, hash_)

    async def by_key(self, token: bytes, address: str) -> Caller | None:
        """Whoever this API key belongs to; None when it is no key of ours, or none can be asked."""
        if not is_plausible(token):
            return None
        now_ms = self._database.system_clock_ms()
        try:
            async with self._database.reading() as tx:
                key = await keys.find_by_hash(tx, hash_key(token), now_ms)
        except (StoreUnavailable, StoreRefused):
            return None
        if key is None:
            return None
        _check_usable(key, now_ms, address)
        if not key.user_id:
            raise Refusal(Code.FORBIDDEN, "this API key belongs to no user")
        name = f"{account_name(key.user_id)} key:{key.id}"
        return Caller(name, Role.MEMBER, Kind.KEY, key.user_id)


def _check_usable(key: Key, now_ms: int, address: str) -> None:
    """As the gateway does: a key that opens nothing there opens nothing here."""
    if not key.is_active:
        raise Refusal(Code.KEY_INACTIVE, "this API key has been deactivated")
    if key.expires_ms is not None and key.expires_ms <= now_ms:
        raise Refusal(Code.KEY_EXPIRED, "this API key has expired")
    if key.addresses is not None and not _is_allowed(address, key.addresses):
        raise Refusal(Code.ADDRESS_NOT_ALLOWED, "this API key may not be used from your address")


def _is_allowed(address: str, allowed: tuple[str, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    networks = [ipaddress.ip_network(one, strict=False) for one in allowed]
    return any(parsed.version == one.version and parsed in one for one in networks)
