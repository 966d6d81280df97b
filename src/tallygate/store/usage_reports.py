"""Settling reports: reported uses become rows of `usage`, each event once, for tokens we know.

An event that named itself is remembered for a time; whichever node settles it first makes its row.
A use of an unknown token makes no row and is not remembered, only counted by the day.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from tallygate.core.entry import Outcome
from tallygate.core.usage_report import ReportedUse, UsageReport
from tallygate.store import usage_intake
from tallygate.store.database import Tx
from tallygate.store.schema import api_key, key_secret
from tallygate.store.usage_intake import Intake
from tallygate.store.usage_schema import usage_event

NAMES_MAX = 1000  # in one IN list
SLICES = 4096  # of the key of `usage_event`, as they are looked through one after the other

_Row = tuple[object, ...]
_Owner = tuple[int, int, str]  # key id, tenant, user
_Found = list[tuple[_Owner, str, ReportedUse]]  # with the request id of its row


@dataclass(slots=True)
class Taken:
    """What reports come to: rows of `usage`, and when each key was used last."""

    rows: list[_Row] = field(default_factory=list)
    used_ms: dict[int, int] = field(default_factory=dict)
    intake: Intake = field(default_factory=Intake)


async def take(tx: Tx, reports: Sequence[UsageReport], now_ms: int) -> Taken:
    """The events are locked from here on, in the order of their hashes."""
    taken = Taken()
    for report in reports:
        taken.intake.add_refused(report.refused)
    found = await _resolve(tx, reports, taken.intake)
    named = {use.event for _, _, use in found if use.event}
    fresh = await _remember(tx, sorted(named), now_ms) if named else set()
    used_ms = taken.used_ms
    for owner, request_id, use in found:
        if use.event:
            if use.event not in fresh:
                taken.intake.repeated += 1
                continue
            fresh.remove(use.event)  # a copy in the same batch is one, too
        taken.rows.append(_usage_row(owner, request_id, use))
        if used_ms.get(owner[0], -1) < use.at_ms:
            used_ms[owner[0]] = use.at_ms
    taken.intake.logged = len(taken.rows)
    return taken


async def note(tx: Tx, taken: Taken, now_ms: int) -> None:
    """Count them. Last of all in a transaction: every node counts in the same rows."""
    await usage_intake.add(tx, taken.intake, now_ms)


async def _resolve(tx: Tx, reports: Iterable[UsageReport], intake: Intake) -> _Found:
    """The uses of tokens that are known, deleted and rotated ones too: their history stays."""
    tokens = {use.token for report in reports for use in report.uses if use.token}
    owners = await _owners(tx, sorted(tokens))
    found: _Found = []
    for report in reports:
        for number, use in enumerate(report.uses, report.first):
            owner = owners.get(use.token)
            if owner is None:
                intake.add_unknown(use)
            else:
                found.append((owner, f"{report.request_id}.{number}", use))
    return found


# Made once: building a list of names into a statement costs more than looking them up.
_OWNERS = (
    sa.select(key_secret.c.hash, api_key.c.id, api_key.c.tenant_id, api_key.c.user_id)
    .join(api_key, api_key.c.id == key_secret.c.key_id)
    .where(key_secret.c.hash.in_(sa.bindparam("hashes", expanding=True)))
)


async def _owners(tx: Tx, tokens: Sequence[bytes]) -> dict[bytes, _Owner]:
    found: dict[bytes, _Owner] = {}
    for some in _parts(tokens):
        for row in await tx.execute(_OWNERS, {"hashes": some}):
            found[bytes(row.hash)] = (row.id, row.tenant_id, row.user_id)
    return found


_KNOWN = sa.select(usage_event.c.hash).where(
    usage_event.c.hash.in_(sa.bindparam("hashes", expanding=True))
)
_REMEMBER = sa.text(
    "INSERT INTO usage_event (hash, seen_ms) "
    "SELECT one, :now_ms FROM unnest(CAST(:hashes AS bytea[])) AS one "
    "ON CONFLICT DO NOTHING RETURNING hash"
)


async def _remember(tx: Tx, events: Sequence[bytes], now_ms: int) -> set[bytes]:
    """Those that nobody has told before; from now on they are known."""
    if tx.dialect == "postgresql":
        told = await tx.execute(_REMEMBER, {"now_ms": now_ms, "hashes": list(events)})
        return {bytes(row.hash) for row in told}
    known: set[bytes] = set()
    for some in _parts(events):
        known.update((await tx.execute(_KNOWN, {"hashes": some})).scalars())
    fresh = [event for event in events if event not in known]
    await tx.insert_many(usage_event, [(event, now_ms) for event in fresh], ("hash", "seen_ms"))
    return set(fresh)


def _parts(names: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (names[start : start + NAMES_MAX] for start in range(0, len(names), NAMES_MAX))


_OK, _FAILED = Outcome.OK.value, Outcome.UPSTREAM_ERROR.value


def _usage_row(owner: _Owner, request_id: str, use: ReportedUse) -> _Row:
    """As a gateway would have written it (gateway/route_answer.py), in settle's columns."""
    key_id, tenant_id, user_id = owner
    return (
        *(tenant_id, request_id, key_id, user_id),
        *(use.at_ms, use.duration_ms, use.duration_ms),
        *(use.route, "", "", use.status),
        *(_OK if use.status < 400 else _FAILED, "", int(use.status < 500)),
        *(0, 0, None),
        *(use.address, use.agent, 0, 0),
        0,
    )


async def forget_events(tx: Tx, number: int, before_ms: int) -> int:
    """Forget what was seen before then, in one slice of all events; how many."""
    first, last = _bound(number % SLICES), _bound(number % SLICES + 1)
    is_there = [usage_event.c.hash >= first, usage_event.c.seen_ms < before_ms]
    if last is not None:
        is_there.append(usage_event.c.hash < last)
    return (await tx.execute(sa.delete(usage_event).where(*is_there))).rowcount


def _bound(number: int) -> bytes | None:
    """The first hash of a slice; None beyond the last one."""
    return None if number == SLICES else (number << 4).to_bytes(2, "big")
