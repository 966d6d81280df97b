"""Usage as CSV or JSONL: every single use, or sums by month per token, user or team.

What is sent is made piece by piece, so that its size does not matter; each piece is read in a
transaction of its own.
"""

import datetime
import enum
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from tallygate.control.bodies import read_day, rfc3339
from tallygate.control.usage_question import Asked, Question, look_up
from tallygate.core.errors import Code, Refusal
from tallygate.core.export import csv_head, csv_lines, jsonl_lines
from tallygate.core.money import format_points
from tallygate.core.rollup import SUMS, Row, add
from tallygate.core.usage import CACHE_READ_TOKENS
from tallygate.core.usage_window import Window, months
from tallygate.core.windows import Span, day_window, zone_of
from tallygate.store import usage_rows, usage_views
from tallygate.store.analytics import Per, sums
from tallygate.store.database import Database, Tx
from tallygate.store.usage_rows import SingleUse
from tallygate.store.usage_views import KeyName

MONTHS_MAX = 121

USE_COLUMNS = (
    *("time", "token_id", "token", "team_id", "team", "user_id", "route", "model", "provider"),
    *("status", "outcome", "duration_ms", "first_byte_ms", "input_tokens", "output_tokens"),
    *("cached_tokens", "points", "address", "agent", "request_id"),
)
SUM_COLUMNS = (
    *("month", "id", "name", "model", "uses", "errors", "input_tokens", "output_tokens"),
    *("cached_tokens", "points", "points_micros"),
)
QUERY = {
    "format": "csv or jsonl; csv if not given",
    "per": "use, or sums by month and model per token, user or team; use if not given",
    "month": "one month such as 2026-02, in place of days",
    "from": "a day; from it on, in place of days",
    "to": "a day, which is included; today if not given",
}

_AT = {name: number for number, name in enumerate(SUMS)}


class What(enum.StrEnum):
    """What a line is of."""

    USE = "use"
    TOKEN = "token"  # noqa: S105 - a word, not a secret
    USER = "user"
    TEAM = "team"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent. Days None: the question says."""

    question: Question
    what: What
    is_csv: bool
    first: datetime.date | None
    last: datetime.date | None

    @property
    def file_name(self) -> str:
        return f"usage-{self.what}.{'csv' if self.is_csv else 'jsonl'}"


def order(question: Question, given: Mapping[str, str]) -> Order:
    shape = given.get("format") or "csv"
    if shape not in ("csv", "jsonl"):
        raise Refusal(Code.BAD_REQUEST, "`format`: use csv or jsonl", param="format")
    per = given.get("per") or "use"
    if per not in list(What):
        raise Refusal(Code.BAD_REQUEST, "`per`: use use, token, user or team", param="per")
    first, last = _days(given)
    return Order(question, What(per), shape == "csv", first, last)


def _days(given: Mapping[str, str]) -> tuple[datetime.date | None, datetime.date | None]:
    if month := given.get("month"):
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}", month):
            message = "`month`: use a month like 2026-02"
            raise Refusal(Code.BAD_REQUEST, message, param="month")
        first = read_day(f"{month}-01", "month")
        return first, (first + datetime.timedelta(days=32)).replace(day=1) - _DAY
    first_text, last_text = given.get("from"), given.get("to")
    if last_text and not first_text:
        raise Refusal(Code.BAD_REQUEST, "`to` needs a `from`", param="to")
    first_day = read_day(first_text, "from") if first_text else None
    last_day = read_day(last_text, "to") if last_text else None
    if first_day is not None and last_day is not None and last_day < first_day:
        raise Refusal(Code.BAD_REQUEST, "`to` is before `from`", param="to")
    return first_day, last_day


_DAY = datetime.timedelta(days=1)


async def look_up_order(tx: Tx, wanted: Order, zone: str, now_ms: int) -> Asked:
    """Its names and its window, before anything is sent: what is wrong is answered as such."""
    asked = await look_up(tx, wanted.question, zone, now_ms)
    if wanted.first is not None:
        last = wanted.last or _day_of(now_ms // 1000, asked.zone)
        end_s = day_window(max(last, wanted.first) + _DAY, asked.zone)
        start_s = day_window(wanted.first, asked.zone)
        asked = replace(asked, window=Window(asked.zone, start_s, end_s, Span.DAY))
    if wanted.what is not What.USE and len(_months(asked.window)) > MONTHS_MAX:
        message = f"`from`: at most {MONTHS_MAX} months at a time"
        raise Refusal(Code.BAD_REQUEST, message, param="from")
    return asked


def _day_of(at_s: int, zone: str) -> datetime.date:
    return datetime.datetime.fromtimestamp(at_s, zone_of(zone)).date()


def _months(window: Window) -> list[Window]:
    """Its months, the first and the last cut to what of them is asked."""
    first, last = (_day_of(at_s, window.zone) for at_s in (window.start_s, window.end_s - 1))
    return [
        replace(
            month,
            start_s=max(month.start_s, window.start_s),
            end_s=min(month.end_s, window.end_s),
            span=window.span,
        )
        for month in months(first, last, window.zone)
    ]


async def pieces(database: Database, wanted: Order, asked: Asked) -> AsyncIterator[str]:
    """The lines, some at a time; the transaction of the question is over by then."""
    is_of_uses = wanted.what is What.USE
    columns = USE_COLUMNS if is_of_uses else SUM_COLUMNS
    rows = _uses(database, asked) if is_of_uses else _sums(database, wanted, asked)
    if wanted.is_csv:
        yield csv_head(columns)
    async for some in rows:
        yield csv_lines(columns, some) if wanted.is_csv else jsonl_lines(columns, some)


async def _uses(database: Database, asked: Asked) -> AsyncIterator[list[dict[str, Any]]]:
    async for rows in usage_rows.stream(database.reading, asked.window, asked.filter):
        async with database.reading() as tx:
            who = await usage_views.names(tx, {row.key_id for row in rows})
        yield [_use(row, who.get(row.key_id)) for row in rows]


def _use(row: SingleUse, name: KeyName | None) -> dict[str, Any]:
    counts = msgspec.json.decode(row.counts, type=dict[str, int]) if row.counts else {}
    return {
        "time": rfc3339(row.at_ms),
        "token_id": str(row.key_id),
        "token": "" if name is None else name.label,
        "team_id": "" if name is None else name.team_id,
        "team": "" if name is None else name.team,
        "user_id": row.user_id,
        "route": row.route,
        "model": row.model,
        "provider": row.provider,
        "status": row.status,
        "outcome": row.outcome,
        "duration_ms": row.duration_ms,
        "first_byte_ms": row.first_byte_ms,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cached_tokens": counts.get(CACHE_READ_TOKENS, 0),
        "points": format_points(row.charge_micros),
        "address": row.address,
        "agent": row.agent,
        "request_id": row.request_id,
    }


async def _sums(
    database: Database, wanted: Order, asked: Asked
) -> AsyncIterator[list[dict[str, Any]]]:
    for month in _months(asked.window):
        async with database.reading() as tx:
            now = await look_up(tx, wanted.question, asked.zone, asked.now_ms)
            by_key = await sums(tx, now.reach, month, asked.filter, Per.KEY, Per.MODEL)
            who = await usage_views.names(tx, {key_id for key_id, _ in by_key})
            of: dict[tuple[str, str], Row] = {}
            for (key_id, model), row in by_key.items():
                place = (_subject(wanted.what, key_id, who.get(key_id)), model)
                if place in of:
                    add(of[place], row)
                else:
                    of[place] = row
            called = await _names(tx, wanted.what, {id_ for id_, _ in of}, who)
        label = month.label(month.start_s, Span.DAY)[:7]
        yield [
            {"month": label, "id": id_, "name": called.get(id_, ""), "model": model, **_sum(row)}
            for (id_, model), row in sorted(of.items())
        ]


def _subject(what: What, key_id: int, name: KeyName | None) -> str:
    if what is What.TOKEN:
        return str(key_id)
    if name is None:
        return ""
    return name.user_id if what is What.USER else name.team_id


async def _names(
    tx: Tx, what: What, ids: Iterable[str], who: Mapping[int, KeyName]
) -> dict[str, str]:
    if what is What.TOKEN:
        return {str(name.id): name.label for name in who.values()}
    known = [id_ for id_ in ids if id_]
    return await (usage_views.user_names if what is What.USER else usage_views.team_names)(
        tx, known
    )


def _sum(row: Row) -> dict[str, Any]:
    of = {name: row[number] for name, number in _AT.items()}
    names = ("uses", "input_tokens", "output_tokens", "cached_tokens")
    return {
        **{name: of[name] for name in names},
        "errors": of["client_errors"] + of["server_errors"] + of["failures"],
        "points": format_points(of["charge_micros"]),
        "points_micros": of["charge_micros"],
    }
