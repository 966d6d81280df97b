"""Made-up tokens with and without known anomalies, and what a detector makes of them.

An injected anomaly changes one token at one known time. Used by tests and by the bench.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tallygate.core.anomalies import QUIET_MS, Kind
from tallygate.core.anomaly_baseline import (
    FAILED_MIN,
    HISTORY_S,
    HOUR_S,
    HOURS,
    USES_MIN,
    Baseline,
    Hour,
    fit,
    slot_of,
)
from tallygate.core.anomaly_sources import (
    CHANCE_MAX,
    DAY_MS,
    KINDS,
    Habit,
    Known,
    agent_of,
    woken,
)
from tests.fakes.token_habits import Traffic, token

DORMANT_MS = 35 * DAY_MS
DAY_S = 86_400
BEGIN_S = 1_767_571_200  # a Monday, 00:00 UTC
VOLUME_TIMES, VOLUME_MORE = 5, 50
ERROR_SHARE, ERROR_USES = 0.8, 30
SILENCE_DAYS = (45, 75)
TRIES = 200


@dataclass(frozen=True, slots=True)
class Alarm:
    kind: Kind
    at_s: int


def with_anomaly(chance: random.Random, weeks: int, kind: Kind) -> Traffic:
    """A token that goes wrong once, in a way that is an anomaly for this token."""
    begin, end = 4 * HOURS, weeks * HOURS - 48
    if kind is Kind.DORMANT:
        end -= SILENCE_DAYS[1] * 24
    assert begin < end, "there is time enough to learn, and to go wrong"
    while True:
        traffic = token(chance, weeks)
        for _ in range(TRIES):
            at = chance.randrange(begin, end)
            if _FIT[kind](traffic, at):
                traffic.injected = kind
                traffic.injected_s = BEGIN_S + _INJECT[kind](chance, traffic, at) * HOUR_S
                return traffic


def alarms(traffic: Traffic) -> list[Alarm]:
    """What a detector tells of that token: each event once, when it begins."""
    found = [*_hourly(traffic), *_by_use(traffic)]
    return sorted(found, key=lambda alarm: alarm.at_s)


def is_found(traffic: Traffic, told: Sequence[Alarm]) -> bool:
    """Whether the injected anomaly was told of, by its kind, within two hours of its beginning."""
    begin_s = traffic.injected_s
    return any(
        one.kind is traffic.injected and begin_s <= one.at_s < begin_s + 2 * HOUR_S for one in told
    )


def _volume(chance: random.Random, traffic: Traffic, at: int) -> int:
    """Two hours of five times the most that is usual then, and of fifty uses more at least."""
    for hour in (at, at + 1):
        high = max(traffic.highs[hour], float(traffic.uses[hour]))
        traffic.uses[hour] = math.ceil(max(VOLUME_TIMES * high, high + VOLUME_MORE))
        traffic.failed[hour] = 0
    return at


def _errors(chance: random.Random, traffic: Traffic, at: int) -> int:
    """Four fifths of an hour's uses fail."""
    failed = math.ceil(traffic.uses[at] * ERROR_SHARE)
    traffic.failed[at] = max(traffic.failed[at], failed)
    return at


def _source(chance: random.Random, traffic: Traffic, at: int) -> int:
    """One hour from a network, or by an agent, that was never seen with this token."""
    network, agent = traffic.sources[at]
    if traffic.roams or chance.random() < 0.5:
        traffic.sources[at] = (network, "sqlmap/1.8")
    else:
        traffic.sources[at] = ("198.51.100.0/24", agent)
    return at


def _silence(chance: random.Random, traffic: Traffic, at: int) -> int:
    """Asleep for a month and a half or more, then used again."""
    end = at + 24 * chance.randint(*SILENCE_DAYS)
    for hour in range(at, end):
        traffic.uses[hour] = traffic.failed[hour] = 0
    traffic.uses[end] = max(1, traffic.uses[end])
    return end


def _is_used_weekly(traffic: Traffic, at: int) -> bool:
    return traffic.habit != "monthly" and sum(map(bool, traffic.uses[:at])) >= 8


_FIT: dict[Kind, Callable[[Traffic, int], bool]] = {
    Kind.VOLUME: lambda traffic, at: True,
    Kind.ERRORS: lambda traffic, at: traffic.uses[at] >= ERROR_USES,
    Kind.SOURCE: lambda traffic, at: traffic.uses[at] > 0 and _is_used_weekly(traffic, at),
    Kind.DORMANT: _is_used_weekly,
}
_INJECT: dict[Kind, Callable[[random.Random, Traffic, int], int]] = {
    Kind.VOLUME: _volume,
    Kind.ERRORS: _errors,
    Kind.SOURCE: _source,
    Kind.DORMANT: _silence,
}


# --- a detector, as the clerk runs it ---


@dataclass(slots=True)
class _Events:
    """Alarms of one kind: what goes on is one event."""

    kind: Kind
    last_s: int = -1 << 40

    def happened(self, at_s: int) -> bool:
        is_new = at_s - self.last_s > QUIET_MS[self.kind] // 1000
        self.last_s = at_s
        return is_new


def _slot(at_s: int) -> int:
    return slot_of(at_s, "UTC")


def _hourly(traffic: Traffic) -> Iterator[Alarm]:
    history = {
        BEGIN_S + at * HOUR_S: Hour(uses, traffic.failed[at])
        for at, uses in enumerate(traffic.uses)
        if uses
    }
    volume, errors = _Events(Kind.VOLUME), _Events(Kind.ERRORS)
    baseline: Baseline | None = None
    made_s, first_s = 0, min(history, default=0)
    for at_s, hour in history.items():
        if hour.uses < USES_MIN and hour.failed < FAILED_MIN:
            continue
        if at_s - made_s >= DAY_S:
            made_s = at_s - at_s % DAY_S
            span = range(max(first_s, made_s - HISTORY_S), made_s, HOUR_S)
            baseline = fit(history, span, _slot)
        if baseline is None:
            continue
        if baseline.volume(_slot(at_s), hour.uses) and volume.happened(at_s):
            yield Alarm(Kind.VOLUME, at_s)
        if baseline.errors(hour) and errors.happened(at_s):
            yield Alarm(Kind.ERRORS, at_s)


def _by_use(traffic: Traffic) -> Iterator[Alarm]:
    known = {kind: Known() for kind in KINDS}
    events, habit = _Events(Kind.SOURCE), None
    for at, uses in enumerate(traffic.uses):
        at_s = BEGIN_S + at * HOUR_S
        at_ms = at_s * 1000
        if not uses:
            continue
        if habit is None:
            habit = Habit(at_ms, at_ms)
        elif woken(habit, 0, at_ms, DORMANT_MS):
            yield Alarm(Kind.DORMANT, at_s)
        habit.meet(at_ms, at_ms)
        network, agent = traffic.sources[at]
        for kind, name in zip(KINDS, (network, agent_of(agent)), strict=True):
            likely = known[kind].chance_of_new(habit.first_ms, at_ms)
            source = known[kind].meet(name, at_ms, at_ms, uses)
            known[kind].forget()
            is_strange = source is not None and likely is not None and likely <= CHANCE_MAX
            if is_strange and events.happened(at_s):
                yield Alarm(Kind.SOURCE, at_s)
