"""What is usual for a key, by hour of week, and which hour is not. Pure: it reads no clock.

How many uses an hour should have is the mean of the same hour of earlier weeks, the newest weighing
most, drawn towards the mean of that hour of the day while there are few weeks. Around it a count
spreads like a negative binomial. That model alone would call each burst of a bursty key an anomaly:
so every past hour is scored as if it were not known itself, and an hour is strange only when it is
both unlikely by the model and clearly stranger than the strangest one before. Why, with figures:
docs/decisions/0008-anomalies.md.
"""

import datetime
import functools
import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tallygate.core.windows import zone_of

HOUR_S: Final = 3600
HOURS: Final = 168  # of a week
WEEKS: Final = 8
HISTORY_S: Final = WEEKS * HOURS * HOUR_S
LEARNING_S: Final = 14 * 86_400  # a younger key has no usual week yet

USES_MIN: Final = 20  # fewer in an hour are no flood, however unusual
RATIO_MIN: Final = 2.0
FAILED_MIN: Final = 10
SHARE_MIN: Final = 0.2
LOG10_CHANCE_MAX: Final = -7.0
BEYOND_RECORD: Final = 1.3  # how much stranger than anything before, after many weeks
BEYOND_RECORD_WEEKS: Final = 1.0  # added to that, by the weeks that it stands on
BEYOND_PEAK: Final = 1.3
FAR_BEYOND_PEAK: Final = 2.0
STRANGE: Final = 6.0  # the score of an hour that the model does not explain
RECORD_MIN: Final = 4.0  # what a key without strange hours is taken to have had

_DECAY: Final = 0.75  # a week's weight, beside that of the week after it
_PRIOR: Final = 1.0  # what the hour of the day weighs, in weeks
_TRIMMED: Final = 0.05  # of the hours, the strangest: they are the record's affair
_SPREAD: Final = (0.03, 2.0)
_LIKENESS: Final = (0.01, 0.5)
_PRIOR_USES: Final = 50.0
_PRIOR_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Hour:
    """What a key did in one hour; `failed` is a part of `uses`."""

    uses: int
    failed: int


@dataclass(frozen=True, slots=True)
class Unusual:
    """An hour out of the ordinary: what was expected and seen, and how unlikely that is.

    `log10_chance` is by the model; `score` and `record` are how far off this hour and the strangest
    one before are, in units of the usual spread.
    """

    expected: float
    seen: int
    uses: int
    log10_chance: float
    score: float
    record: float


@dataclass(frozen=True, slots=True)
class Baseline:
    """A key's usual week. `weeks` is how much history it is made of."""

    means: Sequence[float]  # by hour of week
    spread: float  # 1/r of the negative binomial
    record: float
    peak: float  # the most uses in an hour that the model does not explain
    share: float  # of uses that fail
    likeness: float  # of uses of one hour: how alike they end
    failed_record: float
    weeks: float

    @property
    def _beyond(self) -> float:
        return BEYOND_RECORD + BEYOND_RECORD_WEEKS / self.weeks

    def volume(self, slot: int, uses: int) -> Unusual | None:
        """Whether so many uses in (or so far in) that hour of week are far too many."""
        mean = self.means[slot]
        if uses < max(USES_MIN, RATIO_MIN * mean, BEYOND_PEAK * self.peak):
            return None
        score = _volume_score(uses, mean, self.spread)
        is_new_high = self.peak > 0 and uses >= FAR_BEYOND_PEAK * self.peak
        if score <= self._beyond * self.record and not is_new_high:
            return None
        chance = log10_tail_of_counts(uses, mean, self.spread)
        if chance > LOG10_CHANCE_MAX:
            return None
        return Unusual(mean, uses, uses, chance, score, self.record)

    def errors(self, hour: Hour) -> Unusual | None:
        """Whether far too many of an hour's uses failed."""
        uses, failed = hour.uses, hour.failed
        if failed < FAILED_MIN or failed < max(SHARE_MIN, RATIO_MIN * self.share) * uses:
            return None
        score = _errors_score(hour, self.share, self.likeness)
        if score <= self._beyond * self.failed_record:
            return None
        chance = log10_tail_of_shares(failed, uses, self.share, self.likeness)
        if chance > LOG10_CHANCE_MAX:
            return None
        expected = self.share * uses
        return Unusual(expected, failed, uses, chance, score, self.failed_record)


@functools.lru_cache(maxsize=8192)
def slot_of(at_s: int, zone: str) -> int:
    """Which hour of the week it is there: people and cron jobs follow their clocks."""
    local = datetime.datetime.fromtimestamp(at_s, zone_of(zone))
    return local.weekday() * 24 + local.hour


def fit(history: Mapping[int, Hour], span: range, slot_at: Callable[[int], int]) -> Baseline | None:
    """The usual week out of the hours that begin in `span`; an hour that is not there had no use.

    None: there is too little to go by.
    """
    begins = list(span)
    if len(begins) * HOUR_S < LEARNING_S:
        return None
    hours = [history.get(at_s, _NOTHING) for at_s in begins]
    slots = [slot_at(at_s) for at_s in begins]
    weights = [_DECAY ** ((span.stop - at_s) // (HOURS * HOUR_S)) for at_s in begins]
    uses = [hour.uses for hour in hours]
    means, alone, expected = _means(slots, weights, uses)
    spread = _spread(zip(uses, alone, strict=True))
    scores = [_volume_score(one, mean, spread) for one, mean in zip(uses, expected, strict=True)]
    strange = (one for one, score in zip(uses, scores, strict=True) if score > STRANGE)
    share, likeness = _shares(hours)
    failed_scores = (_errors_score(hour, share, likeness) for hour in hours)
    return Baseline(
        means=array("f", means),  # clerks keep many of them
        spread=spread,
        record=max(RECORD_MIN, *scores),
        peak=max(strange, default=0),
        share=share,
        likeness=likeness,
        failed_record=max(RECORD_MIN, *failed_scores),
        weeks=len(begins) / HOURS,
    )


_NOTHING: Final = Hour(0, 0)


def _means(
    slots: Sequence[int], weights: Sequence[float], uses: Sequence[int]
) -> tuple[list[float], list[float], list[float]]:
    """The mean of each hour of week; what each past hour is expected to be without itself, first
    alone, then as means are: where an hour beside it is busier, that one counts, for what is late
    or early by an hour is nothing new.
    """
    sums, totals = [0.0] * HOURS, [0.0] * HOURS
    for slot, weight, count in zip(slots, weights, uses, strict=True):
        sums[slot] += weight * count
        totals[slot] += weight
    day_sums = [sum(sums[hour::24]) for hour in range(24)]
    day_totals = [sum(totals[hour::24]) for hour in range(24)]

    def mean(slot: int, weight: float = 0.0, count: int = 0) -> float:
        """Of one hour of week, without so much of it."""
        rest = day_totals[slot % 24] - weight
        of_day = (day_sums[slot % 24] - weight * count) / rest if rest > 0 else 0.0
        own = sums[slot] - weight * count
        return (_PRIOR * of_day + own) / (_PRIOR + totals[slot] - weight)

    own = [mean(slot) for slot in range(HOURS)]
    beside = [max(own[slot - 1], own[(slot + 1) % HOURS]) for slot in range(HOURS)]
    alone = [
        mean(slot, weight, count) for slot, weight, count in zip(slots, weights, uses, strict=True)
    ]
    expected = [max(beside[slot], one) for slot, one in zip(slots, alone, strict=True)]
    return [max(pair) for pair in zip(own, beside, strict=True)], alone, expected


def _volume_score(uses: int, mean: float, spread: float) -> float:
    return (uses - mean) / math.sqrt(mean + spread * mean * mean + 1.0)


def _spread(counted: Iterable[tuple[int, float]]) -> float:
    """By moments, without the strangest hours, of those that are expected to be busy at all."""
    busy = [((uses - mean) ** 2, mean) for uses, mean in counted if mean >= 1.0]
    busy.sort(key=lambda pair: pair[0] / (pair[1] + pair[1] * pair[1]))
    kept = busy[: math.ceil(len(busy) * (1 - _TRIMMED))]
    squares = sum(mean * mean for _, mean in kept)
    excess = sum(square - mean for square, mean in kept)
    return _within(excess / squares if squares else 0.0, _SPREAD)


def _shares(hours: Iterable[Hour]) -> tuple[float, float]:
    """The share of uses that fail, and how alike those of one hour end (a beta-binomial's rho)."""
    used = [hour for hour in hours if hour.uses]
    total = sum(hour.uses for hour in used)
    failed = sum(hour.failed for hour in used)
    share = (failed + _PRIOR_USES * _PRIOR_SHARE) / (total + _PRIOR_USES)
    share = min(share, 0.999)
    even = share * (1 - share)
    excess = sum((hour.failed - hour.uses * share) ** 2 - hour.uses * even for hour in used)
    pairs = sum(hour.uses * (hour.uses - 1) for hour in used) * even
    return share, _within(excess / pairs if pairs else 0.0, _LIKENESS)


def _errors_score(hour: Hour, share: float, likeness: float) -> float:
    if not hour.uses:
        return 0.0
    alike = 1 + (hour.uses - 1) * likeness
    variance = hour.uses * share * (1 - share) * alike
    return (hour.failed - hour.uses * share) / math.sqrt(variance + 1.0)


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(bounds[1], max(bounds[0], value))


def log10_tail_of_counts(seen: int, mean: float, spread: float) -> float:
    """How likely a negative binomial is to reach `seen`, beyond its mean; an upper bound."""
    shape = 1.0 / spread
    mean = max(mean, 1e-3)
    odds = mean / (mean + shape)
    log = (
        math.lgamma(seen + shape)
        - math.lgamma(shape)
        - math.lgamma(seen + 1)
        + shape * math.log1p(-odds)
        + seen * math.log(odds)
    )
    return _tail(log, (seen + shape) / (seen + 1) * odds)


def log10_tail_of_shares(failed: int, uses: int, share: float, likeness: float) -> float:
    """How likely a beta-binomial is to reach `failed` of `uses`; an upper bound."""
    of_both = 1.0 / likeness - 1.0
    one, other = share * of_both, (1.0 - share) * of_both
    left = uses - failed
    log = (
        math.lgamma(uses + 1)
        - math.lgamma(failed + 1)
        - math.lgamma(left + 1)
        + _log_beta(failed + one, left + other)
        - _log_beta(one, other)
    )
    if not left:
        return min(0.0, log / math.log(10))
    return _tail(log, left / (failed + 1) * (failed + one) / (left - 1 + other))


def _log_beta(one: float, other: float) -> float:
    return math.lgamma(one) + math.lgamma(other) - math.lgamma(one + other)


def _tail(log_first: float, ratio: float) -> float:
    """The terms of a tail shrink at least by `ratio`: their sum is a geometric one at most."""
    if ratio >= 1.0:
        return 0.0
    return min(0.0, (log_first - math.log1p(-ratio)) / math.log(10))
