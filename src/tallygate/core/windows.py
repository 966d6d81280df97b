"""Windows of time that a limit counts in.

A window's identity is the UTC instant of its start, computed in the limit's own time zone; days and
months follow the calendar there, across changes of summer time. `total` is one window for ever.
"""

import datetime
import enum
import functools
import zoneinfo

FOREVER_S = 1 << 40


class Span(enum.StrEnum):
    """How long a window lasts."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


@functools.lru_cache(maxsize=64)
def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """The named zone; ValueError says which name is unknown."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"unknown time zone {name!r}; use a name like UTC or Asia/Taipei"
        ) from error


def window_at(span: Span, zone: str, now_s: int) -> tuple[int, int]:
    """The start and the end of the window that holds `now_s`, in whole UTC seconds."""
    if span is Span.TOTAL:
        return 0, FOREVER_S
    if span is Span.MINUTE:
        start = now_s - now_s % 60
        return start, start + 60
    local = datetime.datetime.fromtimestamp(now_s, zone_of(zone))
    if span is Span.HOUR:
        start = now_s - local.minute * 60 - local.second
        return start, start + 3600
    if span is Span.DAY:
        return _midnight(local.date(), zone), _midnight(
            local.date() + datetime.timedelta(days=1), zone
        )
    first = local.date().replace(day=1)
    following = (first + datetime.timedelta(days=32)).replace(day=1)
    return _midnight(first, zone), _midnight(following, zone)


def day_window(day: datetime.date, zone: str) -> int:
    """The start of a calendar day in a zone, as the identity of its window."""
    return _midnight(day, zone)


def _midnight(day: datetime.date, zone: str) -> int:
    moment = datetime.datetime.combine(day, datetime.time(), zone_of(zone))
    return int(moment.timestamp())
