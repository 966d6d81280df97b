"""What is out of the ordinary is found, and what is a token's habit is not."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.anomalies import Evidence, Kind, merged
from tallygate.core.anomaly_baseline import (
    HOUR_S,
    HOURS,
    Baseline,
    Hour,
    fit,
    log10_tail_of_counts,
    log10_tail_of_shares,
    slot_of,
)
from tallygate.core.anomaly_learning import learn
from tallygate.core.anomaly_sources import (
    DAY_MS,
    SOURCES_MAX,
    Habit,
    Habits,
    Known,
    Met,
    agent_of,
    network_of,
    woken,
)
from tests.fakes.token_habits import HABITS, token
from tests.fakes.token_traffic import BEGIN_S, alarms, is_found, with_anomaly

WEEKS = 16
NOW_MS = 1_790_000_000_000


def utc_slot(at_s: int) -> int:
    return slot_of(at_s, "UTC")


def fitted(uses_of: list[int], failed: int = 0) -> Baseline:
    """Of a history of whole weeks, hour by hour."""
    history = {
        BEGIN_S + at * HOUR_S: Hour(uses, min(uses, failed)) for at, uses in enumerate(uses_of)
    }
    made = fit(history, range(BEGIN_S, BEGIN_S + len(uses_of) * HOUR_S, HOUR_S), utc_slot)
    assert made is not None
    return made


# --- the two bars, on a small scale; `python -m bench anomalies` measures them on a large one ---


@pytest.mark.parametrize("kind", Kind)
def test_most_injected_anomalies_are_found(kind: Kind) -> None:
    """The bar is 95 % of thousands; of a few of each kind one may be missed."""
    found = 0
    for number in range(6):
        traffic = with_anomaly(random.Random(f"small {kind} {number}"), WEEKS, kind)
        found += is_found(traffic, alarms(traffic))
    assert found >= 5


def test_quiet_tokens_raise_hardly_an_alarm() -> None:
    """The bar is one in 100 token-weeks; here every habit has 32 of them, which is 320."""
    told = [
        (habit, alarm)
        for habit in HABITS
        for number in range(2)
        for alarm in alarms(token(random.Random(f"small {habit} {number}"), WEEKS, habit))
    ]
    assert len(told) <= 4, told


# --- volume ---


def test_an_hour_is_judged_by_its_own_hour_of_the_week() -> None:
    """A night's batch is usual at night, and the same number at noon is not."""
    night = [1000 if at % 24 == 2 else 5 for at in range(4 * HOURS)]
    usual = fitted(night)
    assert usual.volume(2, 1100) is None
    at_noon = usual.volume(12, 1000)
    assert at_noon is not None
    assert at_noon.expected == pytest.approx(5, abs=1)
    assert at_noon.log10_chance < -7


def test_what_is_late_by_an_hour_is_nothing_new() -> None:
    """Or every delay of a cron job would be told."""
    usual = fitted([1000 if at % 24 == 2 else 5 for at in range(4 * HOURS)])
    assert usual.volume(1, 1000) is None
    assert usual.volume(3, 1000) is None
    assert usual.volume(4, 1000) is not None


def test_bursts_that_are_a_habit_are_not_told_but_greater_ones_are() -> None:
    """A token that comes in bursts at any time is only strange beyond its bursts."""
    chance = random.Random(5)
    uses = [300 if chance.random() < 0.05 else 2 for _ in range(8 * HOURS)]
    usual = fitted(uses)
    assert all(usual.volume(slot, 330) is None for slot in range(HOURS))
    told = sum(usual.volume(slot, 1500) is not None for slot in range(HOURS))
    assert told > 0.9 * HOURS, "but for hours that have had a burst in most weeks"


def test_a_young_key_has_no_usual_week() -> None:
    """Judging it by a few days would make its first Monday an anomaly."""
    span = range(BEGIN_S, BEGIN_S + 13 * 24 * HOUR_S, HOUR_S)
    assert fit({at_s: Hour(5, 0) for at_s in span}, span, utc_slot) is None


def test_few_uses_are_no_flood() -> None:
    """However rare: nobody wants to hear of seven instead of none."""
    usual = fitted([0] * (4 * HOURS))
    assert usual.volume(0, 19) is None
    assert usual.volume(0, 40) is not None


def test_hours_of_the_week_follow_the_clocks_of_the_zone() -> None:
    """A job at nine stays one at nine when summer time begins."""
    monday = 1_774_252_800  # 2026-03-23 08:00 UTC: nine in Berlin, a week before summer time
    assert slot_of(monday, "Europe/Berlin") == 9
    assert slot_of(monday + 7 * 86_400, "Europe/Berlin") == 10
    assert slot_of(monday + 7 * 86_400 - HOUR_S, "Europe/Berlin") == 9


# --- errors ---


def test_a_burst_of_errors_is_told_against_the_keys_own_share() -> None:
    """One use in twenty fails as a rule: that is usual, and nine in ten are not."""
    usual = fitted([20] * (4 * HOURS), failed=1)
    assert usual.errors(Hour(40, 5)) is None
    found = usual.errors(Hour(40, 36))
    assert found is not None
    assert (found.seen, found.uses) == (36, 40)
    assert found.expected == pytest.approx(2, abs=0.2)
    assert fitted([20] * (4 * HOURS), failed=18).errors(Hour(40, 38)) is None


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([0.03, 0.3, 2.0]))
def test_more_is_never_likelier(mean: int, more: int, spread: float) -> None:
    """A chance falls as what was seen rises, and is one at most."""
    seen = mean + more
    near = log10_tail_of_counts(seen, mean, spread)
    assert log10_tail_of_counts(seen * 2, mean, spread) <= near <= 0


def test_chances_are_those_of_the_models() -> None:
    """Computed by adding up the probabilities themselves."""
    # A geometric distribution is a negative binomial of shape 1: P(N >= n) is odds ** n.
    assert log10_tail_of_counts(30, 2.0, 1.0) == pytest.approx(30 * -0.1760912590, rel=1e-6)
    # A beta-binomial of one and one is even over 0 … n: P(all fail) is 1/(n + 1).
    assert log10_tail_of_shares(9, 9, 0.5, 1 / 3) == pytest.approx(-1.0)


# --- sources ---


def test_networks_and_agents_have_names_that_outlive_an_update() -> None:
    """A neighbour's address and a new version are nobody new."""
    assert network_of("198.51.100.7") == network_of("::ffff:198.51.100.200") == "198.51.100.0/24"
    assert network_of("2001:db8:1:2::3") == "2001:db8:1::/48"
    assert network_of("fe80::1%eth0") == "fe80::/48"
    assert network_of("not an address") is None
    assert agent_of("n8n/1.20.3") == agent_of("n8n/1.21.0") != agent_of("sqlmap/1.20.3")


def known_for(days: int, *, new_each: int = 0) -> Known:
    known = Known()
    for day in range(days):
        known.meet("home", day * DAY_MS, day * DAY_MS, 1)
        if new_each and day % new_each == 0:
            known.meet(f"cafe {day}", day * DAY_MS, day * DAY_MS, 1)
    return known


def test_a_new_source_is_as_strange_as_the_keys_habit_makes_it() -> None:
    """Who was ever in one place is elsewhere now; who travels is somewhere else again."""
    now_ms = 40 * DAY_MS
    at_home = known_for(40).chance_of_new(0, now_ms)
    travelling = known_for(40, new_each=5).chance_of_new(0, now_ms)
    assert at_home is not None
    assert travelling is not None
    assert at_home < 0.01 < 0.1 < travelling
    assert known_for(13).chance_of_new(0, 13 * DAY_MS) is None, "too early to say"


def met(day: int, address: str = "192.0.2.1", agent: str = "n8n/1.2") -> Met:
    at_ms = NOW_MS + day * DAY_MS
    return Met(1, at_ms // DAY_MS, address, agent, at_ms, at_ms + 1000, 3)


def test_an_unfamiliar_network_and_agent_are_told_once_with_what_is_usual() -> None:
    """Then they are known."""
    habits = {1: Habits(created_ms=NOW_MS)}
    quiet = learn(habits, [met(day) for day in range(20)], NOW_MS + 20 * DAY_MS, 35 * DAY_MS)
    assert quiet.verdicts == []
    strange = met(20, "198.51.100.9", "sqlmap/1.8")
    told = learn(habits, [strange, met(20)], NOW_MS + 20 * DAY_MS, 35 * DAY_MS).verdicts
    assert [one.kind for one in told] == [Kind.SOURCE, Kind.SOURCE]
    assert told[0].evidence.sources == ["198.51.100.0/24"]
    assert told[0].evidence.usual == ["192.0.2.0/24"]
    assert told[0].address == "198.51.100.9"
    assert told[1].agent == "sqlmap/1.8"
    assert learn(habits, [strange], NOW_MS + 20 * DAY_MS, 35 * DAY_MS).verdicts == []


def test_what_is_told_of_late_is_learnt_from_and_no_news() -> None:
    """An import brings years of usage; nobody wants to hear of each move in it."""
    habits = {1: Habits(created_ms=NOW_MS)}
    days = [*range(20), 21, 80]
    history = [met(day, "198.51.100.9" if day == 21 else "192.0.2.1") for day in days]
    learnt = learn(habits, history, NOW_MS + 90 * DAY_MS, 35 * DAY_MS)
    assert learnt.verdicts == []
    assert set(habits[1].known["network"].sources) == {"192.0.2.0/24", "198.51.100.0/24"}


def test_a_key_remembers_a_bounded_number_of_sources() -> None:
    """Whoever calls from everywhere must not fill the store, and is never unfamiliar."""
    habits = {1: Habits(created_ms=NOW_MS)}
    everywhere = [met(n // 8, f"10.{n}.0.1") for n in range(250)]
    learnt = learn(habits, everywhere, NOW_MS + 31 * DAY_MS, 35 * DAY_MS)
    kept = [place for place in learnt.sources if place[1] == "network"]
    assert len(habits[1].known["network"].sources) == len(kept) == SOURCES_MAX
    assert learnt.forgotten.isdisjoint(learnt.sources)
    assert (1, "network", "10.249.0.0/24") in learnt.sources
    assert learnt.verdicts == []


# --- dormant keys ---


def test_a_key_that_sleeps_longer_than_ever_is_told_when_it_wakes() -> None:
    """A silence counts only if it is long for this key, too."""
    dormant_ms = 35 * DAY_MS
    daily = Habit(first_ms=0, last_ms=30 * DAY_MS, gap_ms=DAY_MS, days=31)
    assert woken(daily, 0, 60 * DAY_MS, dormant_ms) is None
    found = woken(daily, 0, 70 * DAY_MS, dormant_ms)
    assert found is not None
    assert found.quiet_ms == 40 * DAY_MS
    assert found.log10_chance is not None
    assert found.log10_chance < -7
    quarterly = Habit(first_ms=0, last_ms=180 * DAY_MS, gap_ms=90 * DAY_MS, days=3)
    assert woken(quarterly, 0, 275 * DAY_MS, dormant_ms) is None


def test_a_key_that_was_never_used_wakes_too() -> None:
    """Handed out and forgotten: its first use after months is worth a word."""
    assert woken(None, 0, 34 * DAY_MS, 35 * DAY_MS) is None
    found = woken(None, 0, 36 * DAY_MS, 35 * DAY_MS)
    assert found is not None
    assert found.days == 0


# --- evidence ---


def test_an_event_that_goes_on_keeps_its_strangest_hour_and_all_it_saw() -> None:
    """The same hour judged again replaces what was seen of it so far."""
    first = Evidence(what="uses", seen=50, score=9.0, hours=[(0, 50)])
    more = Evidence(what="uses", seen=80, score=12.0, hours=[(0, 80)])
    less = Evidence(what="uses", seen=60, score=10.0, hours=[(3600, 60)])
    one = merged(merged(first, more), less)
    assert (one.seen, one.score) == (80, 12.0)
    assert one.hours == [(0, 80), (3600, 60)]
