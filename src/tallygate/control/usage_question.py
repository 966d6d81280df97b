"""Questions about usage, as the API and the command line ask them: which time, of whom, by what."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fastapi import Request

from tallygate.control.callers import caller_of
from tallygate.core.accounts import Role
from tallygate.core.errors import Code, Refusal
from tallygate.core.usage_window import Window, last_days, last_hours
from tallygate.core.windows import Span
from tallygate.store import analytics, usage_views
from tallygate.store.analytics import Filter, Reach
from tallygate.store.database import Tx

DAYS_DEFAULT, DAYS_MAX = 7, 3660
HOURS_MAX = 24 * 62
BY_HOUR_DAYS_MAX = 62  # a chart of more hours than that is read by nobody
LIMIT_DEFAULT, LIMIT_MAX = 10, 1000
NAME_MAX = 512

WINDOW_QUERY = {
    "days": f"today and the days before it, {DAYS_DEFAULT} if not given; at most {DAYS_MAX}",
    "hours": f"this hour and those before it, in place of days; at most {HOURS_MAX}",
}
FILTER_QUERY = {
    "team": "keys of this team only, by its id or name",
    "token": "this key or token only, by its id or name",
    "route": "this route only",
    "model": "this model only",
}
LIMIT_QUERY = {"limit": f"how many, {LIMIT_DEFAULT} if not given; at most {LIMIT_MAX}"}


@dataclass(frozen=True, slots=True)
class Question:
    """`own_user`: of their keys only, whatever else is asked."""

    days: int | None = None
    hours: int | None = None
    by: Span | None = None
    team: str | None = None
    token: str | None = None
    route: str | None = None
    model: str | None = None
    limit: int = LIMIT_DEFAULT
    own_user: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with all names looked up, in the transaction that answers it."""

    tx: Tx
    reach: Reach
    window: Window
    by: Span
    filter: Filter
    limit: int
    now_ms: int

    @property
    def zone(self) -> str:
        return self.reach.zone


def read(request: Request, *, days: int | None = None) -> Question:
    """What a request asks; a Refusal names the parameter at fault."""
    caller = caller_of(request)
    is_member = caller.account_id is not None and caller.role is Role.MEMBER
    asked = question(dict(request.query_params), days=days)
    return replace(asked, own_user=caller.account_id) if is_member else asked


def question(given: Mapping[str, str], *, days: int | None = None) -> Question:
    """`days` when the question does not say."""
    hours = _number(given, "hours", HOURS_MAX)
    by = _by(given)
    asked = _number(given, "days", DAYS_MAX) or days or DAYS_DEFAULT
    if hours is None and by is Span.HOUR and asked > BY_HOUR_DAYS_MAX:
        message = f"`days`: by hour at most {BY_HOUR_DAYS_MAX}"
        raise Refusal(Code.BAD_REQUEST, message, param="days")
    return Question(
        days=asked,
        hours=hours,
        by=by,
        team=_name(given, "team"),
        token=_name(given, "token"),
        route=_name(given, "route"),
        model=_name(given, "model"),
        limit=_number(given, "limit", LIMIT_MAX) or LIMIT_DEFAULT,
    )


def _number(given: Mapping[str, str], name: str, most: int) -> int | None:
    text = given.get(name)
    if text is None or text == "":
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= most:
        return int(text)
    message = f"`{name}`: use a whole number from 1 to {most}"
    raise Refusal(Code.BAD_REQUEST, message, param=name)


def _by(given: Mapping[str, str]) -> Span | None:
    text = given.get("by") or ""
    if text not in ("", "hour", "day"):
        raise Refusal(Code.BAD_REQUEST, "`by`: use hour or day", param="by")
    return Span(text) if text else None


def _name(given: Mapping[str, str], name: str) -> str | None:
    text = given.get(name) or None
    if text is not None and (len(text) > NAME_MAX or "\0" in text):
        raise Refusal(Code.BAD_REQUEST, f"`{name}`: that is no name of one", param=name)
    return text


async def look_up(tx: Tx, asked: Question, zone: str, now_ms: int) -> Asked:
    """`zone` is that of the settings; the store's own counts once it has one."""
    reach = await analytics.reach(tx, zone)
    now_s = now_ms // 1000
    if asked.hours is not None:
        window = last_hours(asked.hours, reach.zone, now_s)
        by = asked.by or Span.HOUR
    else:
        window = last_days(asked.days or DAYS_DEFAULT, reach.zone, now_s)
        by = asked.by or Span.DAY
    team_id = None if asked.team is None else await _team(tx, asked.team)
    wanted = Filter(
        key_ids=None if asked.token is None else await _keys(tx, asked.token, asked.own_user),
        team_id=team_id,
        user_id=asked.own_user,
        route=asked.route,
        model=asked.model,
        is_broad=team_id is not None and await usage_views.has_many_keys(tx, team_id),
    )
    return Asked(tx, reach, window, by, wanted, asked.limit, now_ms)


async def _keys(tx: Tx, named: str, own_user: str | None) -> tuple[int, ...]:
    found = await usage_views.find_keys(tx, named, own_user)
    if not found:
        raise Refusal(Code.NOT_FOUND, f"there is no key or token {named[:80]!r}", param="token")
    return tuple(found)


async def _team(tx: Tx, named: str) -> str:
    found = await usage_views.find_team(tx, named)
    if found is None:
        raise Refusal(Code.NOT_FOUND, f"there is no team {named[:80]!r}", param="team")
    return found
