"""Which time a question about usage is about: whole hours or whole days of a zone, and its parts.

The last day and the last hour are the ones that are still running.
"""

import datetime
from dataclasses import dataclass

from tallygate.core.rollup import QUARTER_S, buckets_of
from tallygate.core.windows import Span, day_window, window_at, zone_of

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Window:
    """From `start_s` until before `end_s`, which lies on borders of what `span` says."""

    zone: str
    start_s: int
    end_s: int
    span: Span  # HOUR or DAY: on whose borders it begins and ends

    def starts(self, by: Span) -> list[int]:
        """Where the hours or days in it begin."""
        quarters = range(self.start_s // QUARTER_S, -(-self.end_s // QUARTER_S))
        if by is Span.DAY:  # none has fewer than 23 hours
            quarters = range(quarters.start, quarters.stop, 92)
        found = {buckets_of(quarter, self.zone)[by is Span.DAY] for quarter in quarters}
        return sorted(one for one in found if self.start_s <= one < self.end_s)

    def label(self, start_s: int, by: Span) -> str:
        """How the clocks there show the start of a part."""
        local = datetime.datetime.fromtimestamp(start_s, zone_of(self.zone))
        return local.strftime("%Y-%m-%d" if by is Span.DAY else "%Y-%m-%d %H:%M")


def last_days(days: int, zone: str, now_s: int) -> Window:
    """Today and the days before it."""
    today = datetime.datetime.fromtimestamp(now_s, zone_of(zone)).date()
    first = today - datetime.timedelta(days=days - 1)
    return Window(zone, day_window(first, zone), window_at(Span.DAY, zone, now_s)[1], Span.DAY)


def last_hours(hours: int, zone: str, now_s: int) -> Window:
    """This hour and those before it."""
    start_s, end_s = window_at(Span.HOUR, zone, now_s)
    start_s = window_at(Span.HOUR, zone, start_s - (hours - 1) * HOUR_S)[0]
    return Window(zone, start_s, end_s, Span.HOUR)


def months(first: datetime.date, last: datetime.date, zone: str) -> list[Window]:
    """The calendar months from the one of the first day to that of the last."""
    found = []
    month = first.replace(day=1)
    while month <= last:
        following = (month + datetime.timedelta(days=32)).replace(day=1)
        ends = day_window(month, zone), day_window(following, zone)
        found.append(Window(zone, *ends, Span.DAY))
        month = following
    return found
