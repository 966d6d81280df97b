"""/api/usage/reports: what became of the uses that others report by POST /api/usage-log."""

import datetime

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import bodies
from tallygate.control.barrier import settle
from tallygate.control.openapi import described
from tallygate.control.parts import Parts
from tallygate.core.errors import Code, Refusal
from tallygate.store import usage_intake
from tallygate.store.usage_intake import DAY_S, KEEP_DAYS, LOGGED, REFUSED, REPEATED, UNKNOWN, Row

DAYS_DEFAULT = 7
_QUERY = {"days": f"how many days, today included; {DAYS_DEFAULT} by default"}


class ReportedDay(msgspec.Struct, kw_only=True):
    """A day in UTC, by arrival. Uses `logged`, `repeated` under the same event_id, of `unknown`
    tokens; `refused` counts whole reports."""

    day: str
    logged: int = 0
    repeated: int = 0
    unknown: int = 0
    refused: int = 0


class UnknownToken(msgspec.Struct, kw_only=True):
    """Uses of a token that is not known here; its hash is cut, `route` is that of the latest."""

    token_hash: str
    uses: int
    last_at: str
    route: str


class RefusedFor(msgspec.Struct, kw_only=True):
    """Reports refused with this error code, `address` is where the latest came from."""

    code: str
    reports: int
    last_at: str
    address: str


class UsageReports(msgspec.Struct, kw_only=True):
    """`days` has every day, the latest first; the others are of all days together."""

    logged: int
    repeated: int
    unknown: int
    refused: int
    days: list[ReportedDay]
    unknown_tokens: list[UnknownToken]
    refused_for: list[RefusedFor]


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/usage", tags=["usage"])

    @router.get("/reports", **described(UsageReports, query=_QUERY))
    async def show_usage_reports(request: Request) -> Response:
        """What reports to `/api/usage-log` became, and which were refused."""
        days = _read_days(request.query_params.get("days"))
        headers = await settle(parts, request)
        now_ms = await parts.database.clock_ms()
        since_ms = now_ms - (days - 1) * DAY_S * 1000
        async with parts.database.reading() as tx:
            rows = await usage_intake.read(tx, since_ms)
        return bodies.answer(summary(rows, since_ms, now_ms), headers=headers)

    return router


def _read_days(text: str | None) -> int:
    if text is None:
        return DAYS_DEFAULT
    if text.isascii() and text.isdecimal() and len(text) <= 3 and 1 <= int(text) <= KEEP_DAYS:
        return int(text)
    raise Refusal(
        Code.BAD_REQUEST, f"`days`: use a whole number from 1 to {KEEP_DAYS}", param="days"
    )


def summary(rows: list[Row], since_ms: int, now_ms: int) -> UsageReports:
    """Every day from the one of `since_ms` to today, and all of them together."""
    first_s, last_s = (ms // 1000 // DAY_S * DAY_S for ms in (since_ms, now_ms))
    days = {day_s: ReportedDay(day=_date(day_s)) for day_s in range(last_s, first_s - 1, -DAY_S)}
    for row in rows:
        day = days.setdefault(row.day_s, ReportedDay(day=_date(row.day_s)))
        setattr(day, row.kind, getattr(day, row.kind) + row.counted)
    totals = {
        kind: sum(row.counted for row in rows if row.kind == kind)
        for kind in (LOGGED, REPEATED, UNKNOWN, REFUSED)
    }
    return UsageReports(
        **totals,
        days=list(days.values()),
        unknown_tokens=[
            UnknownToken(
                token_hash=one.detail, uses=one.counted, last_at=_at(one), route=one.example
            )
            for one in _joined(rows, UNKNOWN)
        ],
        refused_for=[
            RefusedFor(code=one.detail, reports=one.counted, last_at=_at(one), address=one.example)
            for one in _joined(rows, REFUSED)
        ],
    )


def _joined(rows: list[Row], kind: str) -> list[Row]:
    """One row for each detail over all days, the largest first."""
    found: dict[str, Row] = {}
    for row in rows:
        if row.kind == kind:
            found[row.detail] = row.joined(found[row.detail]) if row.detail in found else row
    return sorted(found.values(), key=lambda row: (-row.counted, row.detail))


def _at(row: Row) -> str:
    return bodies.rfc3339(row.last_ms) or ""


def _date(day_s: int) -> str:
    return datetime.datetime.fromtimestamp(day_s, datetime.UTC).date().isoformat()
