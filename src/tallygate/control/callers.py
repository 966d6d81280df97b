"""Who a call comes from, once it is known: for what they may do, and for the audit log."""

import enum
from dataclasses import dataclass

from fastapi import Request

from tallygate.core.accounts import Role


class Kind(enum.Enum):
    """By what a caller was recognised."""

    ADMIN_TOKEN = "the admin token"  # noqa: S105 - a name, not a secret
    SESSION = "a session"
    KEY = "a user's own API key"
    NOBODY = "nothing: the call is open to everybody"


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is for the audit log; an account's bears a prefix, so that none can pose as `admin`.

    `account_id` is None for the admin token. `session` is the hash of the session's cookie.
    """

    name: str
    role: Role
    kind: Kind
    account_id: str | None = None
    session: bytes | None = None

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN


ADMIN = Caller("admin", Role.ADMIN, Kind.ADMIN_TOKEN)
NOBODY = Caller("nobody", Role.MEMBER, Kind.NOBODY)


def account_name(account_id: str) -> str:
    """How the audit log names an account."""
    return f"user:{account_id}"


def caller_of(request: Request) -> Caller:
    """Whom the door let in; nobody may be asked for before the door has decided."""
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller


def client_address(request: Request) -> str:
    """The gateway names its client; who comes over the socket itself is this machine's own."""
    forwarded: str = request.headers.get("x-forwarded-for", "")
    return forwarded.rpartition(",")[2].strip() or "local"
