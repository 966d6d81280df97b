"""The commands about credentials, and a credential as they answer it: without its secret."""

import hashlib

import msgspec
from msgspec import UNSET, UnsetType

from tallygate.core.commands import Arguments
from tallygate.core.credential import State


class NewCredential(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A credential as it is handed in. `given` is the part by which it is recognised again."""

    kind: str
    name: str
    user: str = ""
    pool: str = ""  # "": that of its kind's name
    variables: dict[str, str] = {}
    parts: dict[str, str]
    given: str
    last_used_ms: int | None = None

    def __repr__(self) -> str:
        return f"<NewCredential {self.kind} {self.name}>"

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(f"{self.kind}\0{self.parts[self.given]}".encode()).digest()


class CreateCredential(Arguments):
    """→ CredentialView; CONFLICT when it is there already."""

    NAME = "credential.create"
    new: NewCredential


class PatchCredential(Arguments):
    """→ CredentialView. `parts` replaces the secret, after which it is fresh."""

    NAME = "credential.patch"
    id: int
    name: str | UnsetType = UNSET
    user: str | UnsetType = UNSET
    pool: str | UnsetType = UNSET
    variables: dict[str, str] | UnsetType = UNSET
    parts: dict[str, str] | UnsetType = UNSET
    given: str | UnsetType = UNSET


class RestoreCredential(Arguments):
    """Out of quarantine: it may be used again until a check says otherwise. → CredentialView."""

    NAME = "credential.restore"
    id: int


class DeleteCredential(Arguments):
    """Its secret is gone for good. → CredentialView."""

    NAME = "credential.delete"
    id: int


class CheckCredential(Arguments):
    """Ask that it be checked as soon as a keeper runs. → CredentialView."""

    NAME = "credential.check"
    id: int


class RunKeeper(Arguments):
    """Look after all credentials now. → KeeperAsked; IMPOSSIBLE where there is none, or where this
    node starts no keepers."""

    NAME = "keeper.run"


class KeeperAsked(msgspec.Struct, kw_only=True):
    """`is_started` false: a run over all of them was under way already, and is enough."""

    is_started: bool


class CredentialView(msgspec.Struct, kw_only=True):
    id: int
    kind: str
    name: str
    user: str
    pool: str
    variables: dict[str, str]
    state: State
    reason: str
    failures: int
    expires_ms: int | None
    last_used_ms: int | None
    last_checked_ms: int | None
    state_ms: int
    created_ms: int
