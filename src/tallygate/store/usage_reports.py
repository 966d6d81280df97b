"""Settling reports: reported uses become rows of `usage`, each event once, for tokens we know.

An event that named itself is remembered for a time; whichever node settles it first makes its row.
A use of an unknown token makes no row and is not remembered, only counted by the day.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from tallygate.core.entry import Outcome
from tallygate.core.usage_report import EVENT_BYTES, ReportedUse, UsageReport
from tallygate.store import usage_intake
from tallygate.store.database import Tx
from tallygate.store.recent_events import RecentEvents
from tallygate.store.tx import BulkRead, Read
from tallygate.store.usage_intake import Intake
from tallygate.store.usage_schema import usage_event

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


async def take(
    tx: Tx, reports: Sequence[UsageReport], now_ms: int, recent: RecentEvents | None = None
) -> Taken:
    """The events are locked from here on, in the order of their hashes. `recent`: of who settles
    again and again, so that what it knows already is not read anew.
    """
    recent = RecentEvents() if recent is None else recent
    taken = Taken()
    for report in reports:
        taken.intake.add_refused(report.refused)
    owners, known = await _look_up(tx, reports, recent)
    found = _resolve(reports, owners, taken.intake)
    named = {use.event for _, _, use in found if use.event}
    fresh = await _remember(tx, sorted(named - known), now_ms, recent)
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


# What SQLite is asked for is cut out of one string of bytes, for its JSON knows no bytes.
_CUT = (
    "(WITH RECURSIVE cut(place) AS (VALUES (0) UNION ALL SELECT place + 1 FROM cut "
    "WHERE place + 1 < ?2) SELECT substr(?1, place * {0} + 1, {0}) FROM cut)"
)
_OWNERS = (
    "SELECT s.hash, k.id, k.tenant_id, k.user_id "
    "FROM key_secret s JOIN api_key k ON k.id = s.key_id WHERE s.hash "
)
_KNOWN = "SELECT hash FROM usage_event WHERE hash "
# On PostgreSQL one look into the index for each, whatever the planner believes of a table that
# grows faster than its statistics: it would read all of it for each batch.
_EACH = (
    "SELECT found.* FROM unnest($1::bytea[]) AS wanted (name)"
    " CROSS JOIN LATERAL ({0} = wanted.name LIMIT 1) AS found"
)
_READ_OWNERS = BulkRead(f"{_OWNERS} IN {_CUT.format(32)}", _EACH.format(_OWNERS))
_READ_KNOWN = BulkRead(f"{_KNOWN} IN {_CUT.format(EVENT_BYTES)}", _EACH.format(_KNOWN))


async def _look_up(
    tx: Tx, reports: Iterable[UsageReport], recent: RecentEvents
) -> tuple[dict[bytes, _Owner], set[bytes]]:
    """Whose the tokens are, deleted and rotated ones too: their history stays. And which events
    are known; whether one is new is for `_remember` to say."""
    tokens = {use.token for report in reports for use in report.uses if use.token}
    events = {use.event for report in reports for use in report.uses if use.event}
    reads = [_names(tx, _READ_OWNERS, tokens)] if tokens else []
    if tokens and events:
        reads.append(_names(tx, _READ_KNOWN, events))
        if tx.dialect == "sqlite":
            reads.append(recent.unread())
    found = await tx.read_all(reads) if reads else []
    owners = {bytes(row[0]): (row[1], row[2], row[3]) for row in found[0]} if found else {}
    known = {bytes(row[0]) for rows in found[1:2] for row in rows}
    for rows in found[2:]:
        recent.meet(rows)
    return owners, known | recent.known_of(events)


def _names(tx: Tx, read: BulkRead, names: set[bytes]) -> Read:
    if tx.dialect == "postgresql":
        return read, (list(names),)
    return read, (b"".join(names), len(names))


def _resolve(
    reports: Iterable[UsageReport], owners: Mapping[bytes, _Owner], intake: Intake
) -> _Found:
    """The uses of tokens that are known; others are counted."""
    found: _Found = []
    for report in reports:
        for number, use in enumerate(report.uses, report.first):
            owner = owners.get(use.token)
            if owner is None:
                intake.add_unknown(use)
            else:
                found.append((owner, f"{report.request_id}.{number}", use))
    return found


_REMEMBER = sa.text(
    "INSERT INTO usage_event (hash, seen_ms) "
    "SELECT one, :now_ms FROM unnest(CAST(:hashes AS bytea[])) AS one "
    "ON CONFLICT DO NOTHING RETURNING hash"
)


async def _remember(tx: Tx, events: list[bytes], now_ms: int, recent: RecentEvents) -> set[bytes]:
    """Those that nobody has told before; from now on they are known.

    On SQLite nobody else writes since we looked; elsewhere another node may be first.
    """
    if not events:
        return set()
    if tx.dialect == "postgresql":
        told = await tx.execute(_REMEMBER, {"now_ms": now_ms, "hashes": events})
        return {bytes(row.hash) for row in told}
    await recent.note(tx, events, now_ms)
    return set(events)


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
