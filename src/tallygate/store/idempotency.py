"""Delivery idempotency: the same call sent twice is run once, and answered twice alike.

An answer may hold a key that was just made, so answers rest sealed, like every other secret.
"""

import enum
import secrets
from typing import Any

import msgspec
import sqlalchemy as sa

from tallygate.core import sealing
from tallygate.store import schema
from tallygate.store.database import Tx

_records = schema.idempotency


class State(enum.StrEnum):
    """What is known of an Idempotency-Key when it is claimed."""

    NEW = "new"  # it is ours now
    RUNNING = "running"
    DONE = "done"
    CONFLICT = "conflict"  # it came with another payload before


class Earlier(msgspec.Struct, frozen=True):
    """The record as it was found; `answer` None when none was kept (a stream, or too large)."""

    state: State
    request_id: str = ""
    status: int = 0
    content_type: str = ""
    answer: bytes | None = None


async def claim(
    tx: Tx,
    master_key: bytes,
    *,
    scope: str,
    key: str,
    payload_hash: bytes,
    owner: str,
    request_id: str,
    now_ms: int,
    keep_ms: int,
) -> Earlier:
    """Take the key, or say who has it. A claim whose time is over is as if it had never been."""
    here = sa.and_(_records.c.scope == scope, _records.c.key == key)
    await tx.execute(sa.delete(_records).where(here, _records.c.expires_ms <= now_ms))
    insert = sa.insert(_records).values(
        scope=scope,
        key=key,
        payload_hash=payload_hash,
        state=State.RUNNING.value,
        owner=owner,
        request_id=request_id,
        status=0,
        content_type="",
        answer=None,
        expires_ms=now_ms + keep_ms,
    )
    try:
        async with tx.savepoint():  # another node's clerk may insert the same key just now
            await tx.execute(insert)
    except sa.exc.IntegrityError:
        found = (await tx.execute(sa.select(_records).where(here))).one()
        return _earlier(found._mapping, master_key, payload_hash)
    return Earlier(State.NEW, request_id)


async def finish(
    tx: Tx,
    master_key: bytes,
    *,
    scope: str,
    key: str,
    status: int,
    content_type: str,
    answer: bytes | None,
    request_id: str | None = None,
) -> None:
    """The claimed call is done: from now on it is answered so.

    With a `request_id` only if it is still that request's claim.
    """
    sealed = None
    if answer is not None:
        nonce = secrets.token_bytes(sealing.NONCE_BYTES)
        sealed = sealing.seal(master_key, answer, _purpose(scope, key), nonce)
    await tx.execute(
        sa.update(_records)
        .where(_claim_of(scope, key, request_id))
        .values(
            state=State.DONE.value,
            owner="",
            status=status,
            content_type=content_type,
            answer=sealed,
        )
    )


async def release(tx: Tx, *, scope: str, key: str, request_id: str | None = None) -> None:
    """The claimed call did not happen: the next one with this key runs anew.

    With a `request_id` only if it is still that request's claim.
    """
    await tx.execute(
        sa.delete(_records).where(
            _claim_of(scope, key, request_id), _records.c.state == State.RUNNING.value
        )
    )


async def release_owner(tx: Tx, owner: str) -> None:
    """A worker died: nothing that it had begun will ever finish."""
    await tx.execute(
        sa.delete(_records).where(
            _records.c.owner == owner, _records.c.state == State.RUNNING.value
        )
    )


async def clean(tx: Tx, now_ms: int) -> None:
    await tx.execute(sa.delete(_records).where(_records.c.expires_ms <= now_ms))


def _claim_of(scope: str, key: str, request_id: str | None) -> sa.ColumnElement[bool]:
    here = sa.and_(_records.c.scope == scope, _records.c.key == key)
    return here if request_id is None else sa.and_(here, _records.c.request_id == request_id)


def _earlier(found: Any, master_key: bytes, payload_hash: bytes) -> Earlier:  # a row mapping
    if bytes(found["payload_hash"]) != payload_hash:
        return Earlier(State.CONFLICT, found["request_id"])
    if found["state"] == State.RUNNING.value:
        return Earlier(State.RUNNING, found["request_id"])
    answer = None
    if found["answer"] is not None:
        purpose = _purpose(found["scope"], found["key"])
        answer = sealing.unseal(master_key, bytes(found["answer"]), purpose)
    return Earlier(State.DONE, found["request_id"], found["status"], found["content_type"], answer)


def _purpose(scope: str, key: str) -> str:
    return f"idempotency.answer:{scope}:{key}"
