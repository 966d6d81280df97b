"""Made-up tokens of many habits: what one does, hour by hour. Everything follows from the seed.

A habit says how many uses each hour brings, how many fail, from where and by whom.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tallygate.core.anomalies import Kind
from tallygate.core.anomaly_baseline import HOURS

AGENTS = ("n8n/1.{}.2", "python-requests/2.{}.0", "curl/8.{}.1", "Mozilla/5.0 Chrome/1{}.0")


@dataclass(slots=True)
class Traffic:
    """What one token does, hour by hour from BEGIN_S, and the anomaly that was put in, if any.

    `highs` is what its habit makes of an hour nine times in ten, or less; `sources` are network
    and agent by hour. `injected_s` is when the anomaly begins.
    """

    habit: str
    uses: list[int]
    highs: list[float]
    failed: list[int]
    sources: list[tuple[str, str]]
    roams: bool
    share: float
    injected: Kind | None = None
    injected_s: int = 0


Shape = Callable[[random.Random, int], tuple[list[int], list[float]]]


def token(chance: random.Random, weeks: int, habit: str | None = None) -> Traffic:
    """A token of some habit without any anomaly."""
    name = habit or chance.choice(sorted(HABITS))
    uses, highs = HABITS[name](chance, weeks * HOURS)
    share = chance.choice((0.0, 0.002, 0.01, 0.02, 0.05))
    likeness = chance.uniform(0.005, 0.05)
    failed = [_failed(chance, count, share, likeness) for count in uses]
    roams = chance.random() < 0.2
    sources = list(_sources(chance, uses, roams=roams))
    return Traffic(name, uses, highs, failed, sources, roams, share)


def _office(chance: random.Random, hours: int) -> tuple[list[int], list[float]]:
    """People: working hours, lunch, days off, good and bad days, sometimes an evening."""
    busy = chance.uniform(3, 120)

    def rate(at: int) -> float:
        day, hour = at // 24 % 7, at % 24
        if day >= 5 or not 8 <= hour < 18:
            return 0.0
        return busy * (0.4 if hour in (8, 12, 17) else 1.0)

    return _by_rate(chance, hours, rate, day_spread=0.35, off=0.05, elsewhere=0.01 * busy)


def _weekday_service(chance: random.Random, hours: int) -> tuple[list[int], list[float]]:
    """A service of many: a wave through the day, a fifth of it at weekends."""
    busy = chance.uniform(20, 800)

    def rate(at: int) -> float:
        wave = 0.55 - 0.45 * math.cos((at % 24 - 3) / 24 * 2 * math.pi)
        return busy * wave * (0.2 if at // 24 % 7 >= 5 else 1.0)

    return _by_rate(chance, hours, rate, day_spread=0.2)


def _growing(chance: random.Random, hours: int) -> tuple[list[int], list[float]]:
    """The same at all times of the week, and more of it each week."""
    busy, weekly = chance.uniform(5, 150), chance.uniform(1.05, 1.12)

    def rate(at: int) -> float:
        return busy * float(weekly ** (at / HOURS)) * (1.0 + 0.5 * math.sin(at % 24 / 4))

    return _by_rate(chance, hours, rate, day_spread=0.15)


def _steady(chance: random.Random, hours: int) -> tuple[list[int], list[float]]:
    busy = chance.uniform(300, 4000)
    return _by_rate(chance, hours, lambda _: busy, day_spread=0.1, hour_spread=0.1)


def _rare(chance: random.Random, hours: int) -> tuple[list[int], list[float]]:
    """A few uses a week."""
    few = chance.uniform(0.02, 0.3)
    return _by_rate(chance, hours, lambda _: few)


def _cron(chance: random.Random, hours: int) -> tuple[list[int], list[float]]:
    """The same number each hour; sometimes a run is missed, sometimes one is done twice."""
    number = chance.randint(1, 60)
    uses = [number * chance.choices((1, 0, 2), (0.97, 0.02, 0.01))[0] for _ in range(hours)]
    return uses, [float(number)] * hours


def _night_batch(chance: random.Random, hours: int) -> tuple[list[int], list[float]]:
    """A large run each night, which at times starts an hour late, or takes longer than one."""
    number, begin = chance.randint(100, 3000), chance.randint(0, 5)
    uses, highs = [0] * hours, [1.0] * hours
    for day in range(hours // 24):
        size = int(number * chance.lognormvariate(0, 0.25))
        late = int(chance.random() < 0.04)
        over = 0 if late or chance.random() > 0.15 else int(size * chance.uniform(0.1, 0.4))
        at = day * 24 + begin + late
        uses[at] += size - over
        uses[at + 1] += over
        for hour in range(3):
            highs[day * 24 + begin + hour] = _high(number, 0.25)
    return uses, highs


def _bursts(chance: random.Random, hours: int) -> tuple[list[int], list[float]]:
    """Little as a rule, and several times a week, at any time, a lot."""
    little, size = chance.uniform(0.1, 5), chance.uniform(50, 600)
    often = chance.uniform(0.02, 0.08)
    uses = [
        _poisson(chance, little)
        + (int(size * chance.lognormvariate(0, 0.4)) if chance.random() < often else 0)
        for _ in range(hours)
    ]
    return uses, [_high(size, 0.4) + little] * hours


def _weekly(chance: random.Random, hours: int) -> tuple[list[int], list[float]]:
    """A report once a week."""
    number, begin = chance.randint(30, 500), chance.randrange(HOURS)
    uses, highs = [0] * hours, [1.0] * hours
    for at in range(begin, hours, HOURS):
        uses[at], highs[at] = int(number * chance.lognormvariate(0, 0.2)), _high(number, 0.2)
    return uses, highs


def _monthly(chance: random.Random, hours: int) -> tuple[list[int], list[float]]:
    """A job on about the same day of each month: asleep in between, and that is its habit."""
    number, at = chance.randint(1, 19), chance.randrange(24 * 20)
    uses, highs = [0] * hours, [1.0] * hours
    while at < hours:
        uses[at] = number
        at += 24 * chance.randint(28, 31)
    return uses, highs


HABITS: dict[str, Shape] = {
    "bursts": _bursts,
    "cron": _cron,
    "growing": _growing,
    "monthly": _monthly,
    "night batch": _night_batch,
    "office": _office,
    "rare": _rare,
    "steady": _steady,
    "weekday service": _weekday_service,
    "weekly": _weekly,
}


def _by_rate(
    chance: random.Random,
    hours: int,
    rate: Callable[[int], float],
    *,
    day_spread: float = 0.0,
    hour_spread: float = 0.15,
    off: float = 0.0,
    elsewhere: float = 0.0,
) -> tuple[list[int], list[float]]:
    uses, highs, of_day = [], [], 1.0
    for at in range(hours):
        if at % 24 == 0:
            of_day = 0.0 if chance.random() < off else chance.lognormvariate(0, day_spread)
        mean = max(rate(at), elsewhere)
        uses.append(_poisson(chance, mean * of_day * chance.lognormvariate(0, hour_spread)))
        highs.append(_high(mean, day_spread))
    return uses, highs


def _high(middle: float, spread: float) -> float:
    """What a log-normal of that spread exceeds one time in ten."""
    return middle * math.exp(1.28 * spread)


def _poisson(chance: random.Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count


def _failed(chance: random.Random, uses: int, share: float, likeness: float) -> int:
    if not uses or not share:
        return 0
    of_both = 1 / likeness - 1
    return _binomial(chance, uses, chance.betavariate(share * of_both, (1 - share) * of_both))


def _binomial(chance: random.Random, number: int, share: float) -> int:
    mean = number * share
    if number > 100 and mean > 10:
        return min(number, max(0, round(chance.gauss(mean, math.sqrt(mean * (1 - share))))))
    return sum(chance.random() < share for _ in range(number))


def _sources(
    chance: random.Random, uses: Sequence[int], *, roams: bool
) -> Iterator[tuple[str, str]]:
    """Few networks, or ever new ones; one agent or two, which are updated now and then."""
    usual = [f"10.0.{number}.0/24" for number in range(chance.choice((1, 1, 1, 2, 4)))]
    agents = chance.sample(AGENTS, chance.choice((1, 1, 2)))
    often, version, at_today = chance.uniform(0.1, 0.25), 20, 0
    network, agent = usual[0], agents[0]
    for at, count in enumerate(uses):
        if at % 24 == 0:
            at_today = 0
        if count and not at_today:
            at_today = 1
            network, agent = chance.choice(usual), chance.choice(agents)
            if roams and chance.random() < often:
                network = f"172.16.{chance.randrange(250)}.0/24"
            version += chance.random() < 0.05
        yield network, agent.format(version)
