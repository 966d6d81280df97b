"""The commands about people: accounts, teams, sessions, and the keys that members make themselves.

Passwords arrive here as argon2id hashes only: hashing takes a tenth of a second,
and the clerk's one writer must not wait for it.
"""

import msgspec
from msgspec import UNSET, UnsetType

from tallygate.core.commands import Arguments, LimitSpec


class _WithPassword(Arguments):
    """Has a field that no log may show, not even as a hash."""

    def __repr__(self) -> str:
        return f"<{self.NAME}>"


class CreateUser(_WithPassword):
    """→ AccountView. `members_only`: whoever asks may make ordinary members and nobody else."""

    NAME = "user.create"
    id: str | None = None
    name: str = ""
    email: str | None = None
    password_hash: str | None = None
    role: str = "member"
    members_only: bool = False


class PatchUser(_WithPassword):
    """→ AccountView. A new password and a deactivation end the account's sessions.

    `keep_session` is the hash of the one that may go on: its owner's, who changes the password.
    """

    NAME = "user.patch"
    id: str
    name: str | UnsetType = UNSET
    email: str | UnsetType | None = UNSET
    password_hash: str | UnsetType | None = UNSET
    role: str | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    language: str | UnsetType | None = UNSET  # None: the operator's
    members_only: bool = False
    keep_session: bytes | None = None


class CreateTeam(Arguments):
    """→ TeamView."""

    NAME = "team.create"
    name: str
    id: str | None = None


class PatchTeam(Arguments):
    """→ TeamView."""

    NAME = "team.patch"
    id: str
    name: str


class DeleteTeam(Arguments):
    """→ TeamView. CONFLICT while keys belong to it."""

    NAME = "team.delete"
    id: str


class AddMember(Arguments):
    """→ TeamView; CONFLICT when the account is in the team already."""

    NAME = "team.add_member"
    team_id: str
    account_id: str


class RemoveMember(Arguments):
    """→ TeamView."""

    NAME = "team.remove_member"
    team_id: str
    account_id: str


class OpenSession(_WithPassword):
    """→ AccountView; FORBIDDEN for a deactivated account. `hash` is the cookie's."""

    NAME = "session.open"
    account_id: str
    hash: bytes
    expires_ms: int
    agent: str = ""


class SignInSubject(_WithPassword):
    """Someone whom the OpenID Connect provider vouches for. → AccountView, with a session.

    `state` was drawn for this sign-in and counts once. An account is found by its subject, then by
    an address that the provider has verified, and made if there is none. `role` is what the
    person's groups say, None: nothing; `default_role` None refuses who has no account yet.
    """

    NAME = "session.open_subject"
    state: bytes
    subject: str
    name: str
    email: str | None
    role: str | None
    default_role: str | None
    hash: bytes
    expires_ms: int
    agent: str = ""


class TouchSession(_WithPassword):
    """The session was used: its idle time starts anew. Not audited. → None."""

    NAME = "session.touch"
    hash: bytes


class CloseSessions(_WithPassword):
    """Sign out: one session by its hash, or all of an account. → {"closed": <sessions>}."""

    NAME = "session.close"
    account_id: str
    hash: bytes | None = None


class SeeNotices(Arguments):
    """Somebody has seen what they were told, up to one notice. → NoticesSeen."""

    NAME = "own_notices.see"
    account_id: str
    upto_id: int


class NoticesSeen(msgspec.Struct, kw_only=True):
    """How many are still new to them."""

    new: int


class CreateOwnKey(Arguments):
    """A member's own key: within what an operator allows. → KeyView with `secret`."""

    NAME = "own_key.create"
    account_id: str
    label: str = ""
    daily_limit: int | UnsetType = UNSET
    limits: list[LimitSpec] = msgspec.field(default_factory=list)
    expires_ms: int | None = None
    models: list[str] | None = None
    addresses: list[str] | None = None


class RotateOwnKey(Arguments):
    """→ KeyView with `secret`; NOT_FOUND for anybody else's key."""

    NAME = "own_key.rotate"
    account_id: str
    key: str
    grace_s: int = 0


class DeleteOwnKey(Arguments):
    """→ KeyView; NOT_FOUND for anybody else's key."""

    NAME = "own_key.delete"
    account_id: str
    key: str


class AccountView(msgspec.Struct, kw_only=True):
    """An account as commands answer it: without its password, even as a hash."""

    id: str
    name: str
    email: str | None
    role: str
    is_active: bool
    has_password: bool
    has_subject: bool
    created_ms: int
    balance_micros: int
    language: str | None = None


class TeamView(msgspec.Struct, kw_only=True):
    id: str
    name: str
    created_ms: int
    members: int
