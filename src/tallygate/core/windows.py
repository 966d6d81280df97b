"""Windows of time that a limit counts in.

A window's identity is the UTC instant of its start, computed in the limit's own time zone; days and
months follow the calendar there, across changes of summer time. `total` is one window for ever.
"""

import bisect
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
        return _hour(local, now_s)
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


def _hour(local: datetime.datetime, now_s: int) -> tuple[int, int]:
    """A clock that is set by half an hour, as on Lord Howe Island, cuts the hour there."""
    start = now_s - local.minute * 60 - local.second
    end = start + 3600
    zone, offset = local.tzinfo, local.utcoffset()
    if _offset(start, zone) != offset:
        before = range(start, now_s)
        start += bisect.bisect_left(before, True, key=lambda at_s: _offset(at_s, zone) == offset)
    if _offset(end - 1, zone) != offset:
        after = range(now_s, end)
        end = now_s + bisect.bisect_left(
            after, True, key=lambda at_s: _offset(at_s, zone) != offset
        )
    return start, end


def _offset(at_s: int, zone: datetime.tzinfo | None) -> datetime.timedelta | None:
    return datetime.datetime.fromtimestamp(at_s, zone).utcoffset()


def _midnight(day: datetime.date, zone: str) -> int:
    moment = datetime.datetime.combine(day, datetime.time(), zone_of(zone))
    return int(moment.timestamp())
