"""Credentials: handed in, listed, changed, restored, discarded. Checks are in credential_checks.

Whoever changes one says so in the feed, for clerks carry the secrets of pools to their gateways.
"""

import secrets
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import UNSET

from tallygate.core import sealing
from tallygate.core.credential import LIVING, Signal, State, after, may_happen
from tallygate.core.credential_commands import CredentialView, NewCredential, PatchCredential
from tallygate.core.errors import Code, Refusal
from tallygate.store.database import Tx
from tallygate.store.keeper_schema import credential

_VIEW = sa.select(
    *(
        credential.c[name]
        for name in (
            *("id", "kind", "name", "pool", "variables", "state", "reason", "failures"),
            *("expires_ms", "last_used_ms", "last_checked_ms", "state_ms", "created_ms"),
        )
    ),
    credential.c.user_name.label("user"),
)
_by_id = credential.c.id
POOL_MAX: Final = 100
REFUSAL_MS: Final = 30_000


def purpose(credential_id: int) -> str:
    return f"credential.sealed:{credential_id}"


def seal(ring: bytes, credential_id: int, parts: Mapping[str, str]) -> bytes:
    nonce = secrets.token_bytes(sealing.NONCE_BYTES)
    return sealing.seal(ring, msgspec.json.encode(dict(parts)), purpose(credential_id), nonce)


def unseal(ring: bytes, credential_id: int, sealed: bytes) -> dict[str, str]:
    """Its parts by name; Unsealable if the master key is another one."""
    opened = sealing.unseal(ring, sealed, purpose(credential_id))
    return msgspec.json.decode(opened, type=dict[str, str])


def view_of(row: Any) -> CredentialView:  # a row mapping of SQLAlchemy
    values = {name: row[name] for name in CredentialView.__struct_fields__}
    values["variables"] = msgspec.json.decode(row["variables"])
    values["state"] = State(row["state"])
    return CredentialView(**values)


async def find(tx: Tx, credential_id: int) -> CredentialView | None:
    row = (await tx.execute(_VIEW.where(_by_id == credential_id))).first()
    return view_of(row._mapping) if row else None


async def get(tx: Tx, credential_id: int) -> CredentialView:
    """The credential, unless it is deleted or never was."""
    found = await find(tx, credential_id)
    if found is None or found.state is State.DELETED:
        raise Refusal(Code.NOT_FOUND, f"there is no credential {credential_id}")
    return found


async def find_given(tx: Tx, kind: str, given_hash: bytes) -> CredentialView | None:
    """The one that was made with this secret, even if it is deleted."""
    where = (credential.c.kind == kind, credential.c.given_hash == given_hash)
    row = (await tx.execute(_VIEW.where(*where))).first()
    return view_of(row._mapping) if row else None


async def page(
    tx: Tx,
    *,
    limit: int | None = None,
    after_id: int = 0,
    state: str | None = None,
    kind: str | None = None,
) -> tuple[list[CredentialView], int]:
    """As they were made, and how many in all; deleted ones only if their state is asked for."""
    where = [credential.c.state != State.DELETED if state is None else credential.c.state == state]
    if kind is not None:
        where.append(credential.c.kind == kind)
    query = _VIEW.where(*where, _by_id > after_id).order_by(_by_id).limit(limit)
    counted = sa.select(sa.func.count()).select_from(credential).where(*where)
    found = [view_of(row._mapping) for row in await tx.execute(query)]
    return found, int(await tx.scalar(counted) or 0)


async def insert(tx: Tx, ring: bytes, new: NewCredential, now_ms: int) -> CredentialView:
    """A new one, or a deleted one that comes back; CONFLICT while it is there."""
    known = await find_given(tx, new.kind, new.hash)
    if known is not None and known.state is not State.DELETED:
        raise Refusal(Code.CONFLICT, f"this secret is credential {known.id} ({known.name}) already")
    values: dict[str, Any] = {
        "kind": new.kind,
        "name": new.name,
        "user_name": new.user,
        "pool": new.pool or new.kind,
        "variables": msgspec.json.encode(new.variables).decode(),
        "state": State.FRESH,
        "failures": 0,
        "reason": "",
        "run_id": None,
        "claimed_ms": None,
        "wanted_ms": None,
        "expires_ms": None,
        "last_used_ms": new.last_used_ms,
        "last_checked_ms": None,
        "state_ms": now_ms,
        "created_ms": now_ms,
    }
    if known is None:
        made = {**values, "given_hash": new.hash, "version": 1}
        statement = sa.insert(credential).values(made).returning(_by_id)
        credential_id = int(await tx.scalar(statement))
        changes: dict[str, Any] = {}
    else:
        credential_id = known.id
        changes = {**values, "version": credential.c.version + 1}
    changes["sealed"] = seal(ring, credential_id, new.parts)
    await tx.execute(sa.update(credential).where(_by_id == credential_id).values(changes))
    return await get(tx, credential_id)


async def patch(tx: Tx, ring: bytes, change: PatchCredential, now_ms: int) -> CredentialView:
    """Name, user, pool and variables at any time; with another secret it begins anew."""
    before = await get(tx, change.id)
    values: dict[str, Any] = {}
    for name, column in (("name", "name"), ("user", "user_name"), ("pool", "pool")):
        if (value := getattr(change, name)) is not UNSET:
            values[column] = value
    if change.variables is not UNSET:
        values["variables"] = msgspec.json.encode(change.variables).decode()
    if change.parts is not UNSET:
        assert change.given is not UNSET, "whoever gives a secret says which part it is known by"
        new = NewCredential(
            kind=before.kind, name=before.name, parts=change.parts, given=change.given
        )
        other = await find_given(tx, before.kind, new.hash)
        if other is not None and other.id != change.id:
            raise Refusal(Code.CONFLICT, f"this secret is credential {other.id} ({other.name})")
        values |= _begun_anew(Signal.GIVEN_ANEW, before.state, now_ms)
        values |= {
            "sealed": seal(ring, change.id, change.parts),
            "given_hash": new.hash,
            "version": credential.c.version + 1,
            "expires_ms": None,
        }
    if values:
        await tx.execute(sa.update(credential).where(_by_id == change.id).values(values))
    return await get(tx, change.id)


async def restore(tx: Tx, credential_id: int, now_ms: int) -> CredentialView:
    before = await get(tx, credential_id)
    if not may_happen(before.state, Signal.RESTORED):
        raise Refusal(
            Code.IMPOSSIBLE, f"credential {credential_id} is {before.state}, not quarantined"
        )
    values = _begun_anew(Signal.RESTORED, before.state, now_ms)
    await tx.execute(sa.update(credential).where(_by_id == credential_id).values(values))
    return await get(tx, credential_id)


async def discard(tx: Tx, credential_id: int, now_ms: int) -> CredentialView:
    """Its secret is gone; its name stays, so that an old list does not bring it back unnoticed.

    Answers what it was.
    """
    before = await get(tx, credential_id)
    gone = {**deleted_values(now_ms), "state": after(before.state, Signal.DISCARDED)}
    await tx.execute(sa.update(credential).where(_by_id == credential_id).values(gone))
    return before


def deleted_values(now_ms: int) -> dict[str, Any]:
    """The columns of a credential that is no more."""
    nothing = {"sealed": None, "run_id": None, "claimed_ms": None, "wanted_ms": None}
    return {
        **nothing,
        "state": State.DELETED,
        "state_ms": now_ms,
        "version": credential.c.version + 1,
    }


async def want_check(tx: Tx, credential_id: int, now_ms: int) -> CredentialView:
    found = await get(tx, credential_id)
    if found.state is State.QUARANTINED:
        raise Refusal(Code.IMPOSSIBLE, f"credential {credential_id} is quarantined: restore it")
    where = (_by_id == credential_id, credential.c.wanted_ms.is_(None))
    await tx.execute(sa.update(credential).where(*where).values(wanted_ms=now_ms))
    return found


async def note_use(tx: Tx, used: Collection[int], refused: Collection[int], now_ms: int) -> None:
    """By gateways. What was checked a moment ago is not checked again for a refusal that may be
    older than the secret that it has now."""
    if used:
        in_use = sa.update(credential).where(_by_id.in_(used), credential.c.state.in_(LIVING))
        await tx.execute(in_use.values(last_used_ms=now_ms))
    if refused:
        checked = sa.func.coalesce(credential.c.last_checked_ms, 0) < now_ms - REFUSAL_MS
        idle = (credential.c.wanted_ms.is_(None), credential.c.state.in_(LIVING))
        asked = sa.update(credential).where(_by_id.in_(refused), checked, *idle)
        await tx.execute(asked.values(wanted_ms=now_ms))


class Pooled(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that gateways may use, opened."""

    id: int
    kind: str
    pool: str
    failures: int
    parts: dict[str, str]

    def __repr__(self) -> str:
        return f"<Pooled {self.id}>"


async def of_pools(tx: Tx, ring: bytes, pools: Collection[str]) -> tuple[list[Pooled], list[int]]:
    """Those in use, and the ids of those that stay shut; a bounded number of each pool."""
    found, shut = [], []
    for pool in sorted(pools):
        where = (credential.c.pool == pool, credential.c.state.in_(LIVING))
        query = sa.select(credential).where(*where, credential.c.sealed.is_not(None))
        ordered = query.order_by(credential.c.failures, _by_id).limit(POOL_MAX)
        for row in await tx.execute(ordered):
            try:
                parts = unseal(ring, row.id, bytes(row.sealed))
            except sealing.Unsealable:
                shut.append(row.id)
                continue
            found.append(
                Pooled(id=row.id, kind=row.kind, pool=pool, failures=row.failures, parts=parts)
            )
    return found, shut


async def is_pressing(tx: Tx, ends_before_ms: int, again_before_ms: int) -> bool:
    """Whether one is asked for, or ends soon; what was tried since then has had its chance."""
    ends = sa.and_(
        credential.c.expires_ms <= ends_before_ms,
        sa.func.coalesce(credential.c.last_checked_ms, 0) < again_before_ms,
    )
    where = (credential.c.state.in_(LIVING), sa.or_(credential.c.wanted_ms.is_not(None), ends))
    return await tx.scalar(sa.select(_by_id).where(*where).limit(1)) is not None


async def oldest_ms(tx: Tx) -> int | None:
    """Since when there is one in use."""
    query = sa.select(sa.func.min(credential.c.created_ms))
    found = await tx.scalar(query.where(credential.c.state.in_(LIVING)))
    return None if found is None else int(found)


async def counts(tx: Tx) -> dict[str, int]:
    """How many there are of each state, all of them named."""
    query = sa.select(credential.c.state, sa.func.count().label("number"))
    grouped = await tx.execute(query.group_by(credential.c.state))
    found = {row.state: int(row.number) for row in grouped}
    return {state.value: found.get(state.value, 0) for state in State}


def _begun_anew(signal: Signal, state: State, now_ms: int) -> dict[str, Any]:
    return {
        "state": after(state, signal),
        "state_ms": now_ms,
        "failures": 0,
        "reason": "",
        "run_id": None,
        "claimed_ms": None,
        "wanted_ms": now_ms,
    }
