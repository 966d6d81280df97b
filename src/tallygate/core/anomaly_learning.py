"""Taking note of uses, in the order in which they were made, and telling what was strange."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tallygate.core.anomalies import STALE_MS, Verdict, of_source, of_waking
from tallygate.core.anomaly_sources import (
    CHANCE_MAX,
    KINDS,
    Habit,
    Habits,
    Met,
    Source,
    familiar,
    named,
    woken,
)

USUAL_TOLD = 10

Place = tuple[int, str, str]  # key_id, kind, name


@dataclass(slots=True)
class Learnt:
    """What changed of what is known, and the anomalies that were found."""

    habits: dict[int, Habit] = field(default_factory=dict)
    sources: dict[Place, Source] = field(default_factory=dict)
    forgotten: set[Place] = field(default_factory=set)
    verdicts: list[Verdict] = field(default_factory=list)


def learn(habits: Mapping[int, Habits], met: Iterable[Met], now_ms: int, dormant_ms: int) -> Learnt:
    """`met` by key and time. Uses that are told of long after they were made are no news."""
    learnt = Learnt()
    for one in met:
        of_key = habits.get(one.key_id)
        if of_key is None:
            continue
        is_news = one.first_ms > now_ms - STALE_MS
        asleep = woken(of_key.habit, of_key.created_ms, one.first_ms, dormant_ms)
        if asleep is not None and is_news:
            learnt.verdicts.append(of_waking(one.key_id, one.first_ms, asleep))
        if of_key.habit is None:
            of_key.habit = Habit(one.first_ms, one.last_ms)
        else:
            of_key.habit.meet(one.first_ms, one.last_ms)
        learnt.habits[one.key_id] = of_key.habit
        for kind in KINDS:
            _learn_source(learnt, of_key, kind, one, is_news=is_news)
    return learnt


def _learn_source(learnt: Learnt, habits: Habits, kind: str, met: Met, *, is_news: bool) -> None:
    name = named(kind, met.address, met.agent)
    if name is None:
        return
    assert habits.habit is not None, "a key that was met has a habit"
    known = habits.known[kind]
    likely = known.chance_of_new(habits.habit.first_ms, met.first_ms)
    usual = familiar(known, USUAL_TOLD) if likely is not None and name not in known.sources else []
    is_new = known.meet(name, met.first_ms, met.last_ms, met.uses) is not None
    learnt.sources[met.key_id, kind, name] = known.sources[name]
    learnt.forgotten.discard((met.key_id, kind, name))
    if is_new and is_news and likely is not None and likely <= CHANCE_MAX:
        learnt.verdicts.append(of_source(met, kind, name, likely, usual))
    for gone in known.forget():
        learnt.sources.pop((met.key_id, kind, gone), None)
        learnt.forgotten.add((met.key_id, kind, gone))
