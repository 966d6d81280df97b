"""Windows follow the calendar of their zone, through summer time, and tile all of time."""

import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.windows import FOREVER_S, Span, day_window, window_at, zone_of

ZONES = (
    *("UTC", "Asia/Taipei", "Asia/Kathmandu", "Europe/Berlin", "America/New_York"),
    *("Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia", "America/Sao_Paulo"),
)
# From 2012 on: until then St John's set its clock at 00:01, and had two midnights in one night.
moments = st.integers(min_value=1_325_376_000, max_value=4_000_000_000)


def at(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp())


@given(st.sampled_from(list(Span)), st.sampled_from(ZONES), moments)
def test_every_moment_is_in_its_window_and_the_next_window_follows_at_once(
    span: Span, zone: str, now_s: int
) -> None:
    """A gap would lose a request, an overlap would count it against two windows."""
    start, end = window_at(span, zone, now_s)
    assert start <= now_s < end
    assert window_at(span, zone, start) == (start, end)
    if span is not Span.TOTAL:
        assert window_at(span, zone, end)[0] == end
        assert window_at(span, zone, end - 1) == (start, end)


@given(st.sampled_from(ZONES), moments)
def test_a_day_is_named_by_its_date_in_its_own_zone(zone: str, now_s: int) -> None:
    """Operators name days by date; the counter of that date must be the one that was used."""
    day = datetime.datetime.fromtimestamp(now_s, zoneinfo.ZoneInfo(zone)).date()
    assert day_window(day, zone) == window_at(Span.DAY, zone, now_s)[0]


@pytest.mark.parametrize(
    ("moment", "hours"), [("2026-03-29T12:00Z", 23), ("2026-10-25T12:00Z", 25)]
)
def test_a_day_of_changing_summer_time_has_its_own_length(moment: str, hours: int) -> None:
    """Midnight to midnight there, not 24 hours."""
    start, end = window_at(Span.DAY, "Europe/Berlin", at(moment))
    assert end - start == hours * 3600


def test_the_hour_that_happens_twice_is_two_windows() -> None:
    """Otherwise an hourly limit would hold for two hours once a year."""
    first, _ = window_at(Span.HOUR, "Europe/Berlin", at("2026-10-25T02:30+02:00"))
    second, _ = window_at(Span.HOUR, "Europe/Berlin", at("2026-10-25T02:30+01:00"))
    assert second - first == 3600


@pytest.mark.parametrize("change", ["2026-04-04T15:00Z", "2026-10-03T15:30Z"])
def test_a_clock_that_is_set_by_half_an_hour_makes_no_window_overlap(change: str) -> None:
    """Lord Howe Island: one of the hours around it is half as long, and none holds it twice."""
    windows = {
        window_at(Span.HOUR, "Australia/Lord_Howe", now_s)
        for now_s in range(at(change) - 7200, at(change) + 7200, 60)
    }
    ordered = sorted(windows)
    assert [end for _, end in ordered[:-1]] == [start for start, _ in ordered[1:]]
    assert sorted(end - start for start, end in ordered)[:2] == [1800, 3600]


def test_hours_and_days_of_odd_zones_begin_where_their_clocks_say() -> None:
    """Kathmandu is 5:45 ahead."""
    start, _ = window_at(Span.HOUR, "Asia/Kathmandu", at("2026-06-01T12:20Z"))
    assert start == at("2026-06-01T12:15Z")
    start, _ = window_at(Span.DAY, "Asia/Kathmandu", at("2026-06-01T12:20Z"))
    assert start == at("2026-05-31T18:15Z")


@pytest.mark.parametrize(("month", "days"), [("2026-02", 28), ("2028-02", 29), ("2026-12", 31)])
def test_a_month_is_as_long_as_it_is(month: str, days: int) -> None:
    """Leap years and the turn of the year included."""
    start, end = window_at(Span.MONTH, "UTC", at(f"{month}-15T00:00Z"))
    assert start == at(f"{month}-01T00:00Z")
    assert end - start == days * 86_400


def test_total_is_one_window_for_ever() -> None:
    """Its identity must never change."""
    assert window_at(Span.TOTAL, "Asia/Taipei", at("2026-01-01T00:00Z")) == (0, FOREVER_S)


@pytest.mark.parametrize("name", ["Mars/Base", "", "../../etc/passwd", "\0", "x" * 5000])
def test_an_unknown_zone_is_named_in_the_refusal(name: str) -> None:
    """Whatever an operator types, the answer is one line and not a traceback of zoneinfo."""
    with pytest.raises(ValueError, match="unknown time zone"):
        zone_of(name)
