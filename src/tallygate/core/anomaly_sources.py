"""Where a key is used from, by which agent, and after how long a silence. Pure: it reads no clock.

How surprising a new source is follows from the key's own habit: one that met new ones lately will
meet another, one that never did will not.
"""

import ipaddress
import math
import re
from dataclasses import dataclass, field
from typing import Final

DAY_MS: Final = 86_400_000
LEARNING_MS: Final = 14 * DAY_MS
SOURCE_DAYS_MIN: Final = 7
SOURCES_MAX: Final = 64  # of one kind that are remembered; who has more has no usual ones
CHANCE_MAX: Final = 0.03  # that a day of a source is a new one's
GAPS_MIN: Final = 2.5  # how much longer than the longest silence before
NETWORK, AGENT = "network", "agent"
KINDS: Final = (NETWORK, AGENT)

_PRIOR_NEW: Final = 0.1
_PRIOR_DAYS: Final = 8.0
_AGENT_LENGTH_MAX: Final = 120
_VERSION = re.compile(r"[0-9]+(?:[._][0-9]+)*")


@dataclass(frozen=True, slots=True)
class Met:
    """What some rows of usage say of one key on one day, from one address by one agent."""

    key_id: int
    day: int
    address: str
    agent: str
    first_ms: int
    last_ms: int
    uses: int


@dataclass(slots=True)
class Source:
    """A network or an agent that a key was used from. `days` are days on which it was."""

    first_ms: int
    last_ms: int
    days: int = 1
    uses: int = 0


@dataclass(slots=True)
class Known:
    """The sources of one kind that a key is known to have, by their names."""

    sources: dict[str, Source] = field(default_factory=dict)

    def chance_of_new(self, first_ms: int, now_ms: int) -> float | None:
        """How likely a day of a source is to be a new source's; None: it is too early to say."""
        days = sum(one.days for one in self.sources.values())
        if now_ms - first_ms < LEARNING_MS or days < SOURCE_DAYS_MIN:
            return None
        if len(self.sources) >= SOURCES_MAX:
            return 1.0
        learnt_ms = first_ms + LEARNING_MS
        found = self.sources.values()
        new = sum(1 for one in found if one.days == 1 or one.first_ms > learnt_ms)
        return (new + _PRIOR_NEW) / (days + _PRIOR_DAYS)

    def meet(self, name: str, at_ms: int, last_ms: int, uses: int) -> Source | None:
        """Take note of uses on one day; the source if it was not known."""
        known = self.sources.get(name)
        if known is None:
            known = self.sources[name] = Source(at_ms, last_ms, 1, uses)
            return known
        known.days += last_ms // DAY_MS > known.last_ms // DAY_MS
        known.first_ms = min(known.first_ms, at_ms)
        known.last_ms = max(known.last_ms, last_ms)
        known.uses += uses
        return None

    def forget(self) -> list[str]:
        """The longest unseen ones, beyond those that are remembered."""
        too_many = len(self.sources) - SOURCES_MAX
        if too_many <= 0:
            return []
        gone = sorted(self.sources, key=lambda name: self.sources[name].last_ms)[:too_many]
        for name in gone:
            del self.sources[name]
        return gone


@dataclass(slots=True)
class Habit:
    """When a key was used: first, last, on how many days, and its longest silence between uses."""

    first_ms: int
    last_ms: int
    gap_ms: int = 0
    days: int = 1

    def meet(self, at_ms: int, last_ms: int) -> None:
        """Take note of uses on one day."""
        self.gap_ms = max(self.gap_ms, at_ms - self.last_ms)
        self.days += last_ms // DAY_MS > self.last_ms // DAY_MS
        self.first_ms = min(self.first_ms, at_ms)
        self.last_ms = max(self.last_ms, last_ms)


@dataclass(slots=True)
class Habits:
    """What is known of a key. `habit` None: it was never used."""

    created_ms: int
    habit: Habit | None = None
    known: dict[str, Known] = field(default_factory=lambda: {kind: Known() for kind in KINDS})


@dataclass(frozen=True, slots=True)
class Woken:
    """A key that was asleep. `log10_chance` None: it had no pace yet that it could have kept."""

    quiet_ms: int
    longest_ms: int
    days: int
    log10_chance: float | None


def woken(habit: Habit | None, created_ms: int, at_ms: int, dormant_ms: int) -> Woken | None:
    """Whether a use ends a silence that is long, and long for this key."""
    if habit is None:
        quiet_ms = at_ms - created_ms
        return Woken(quiet_ms, 0, 0, None) if quiet_ms >= dormant_ms else None
    quiet_ms = at_ms - habit.last_ms
    if quiet_ms < max(dormant_ms, GAPS_MIN * habit.gap_ms):
        return None
    pace_ms = max(DAY_MS, habit.last_ms - habit.first_ms) / habit.days
    return Woken(quiet_ms, habit.gap_ms, habit.days, -quiet_ms / pace_ms / math.log(10))


def network_of(address: str) -> str | None:
    """The /24 or /48 that an address belongs to; None for what is no address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


def agent_of(agent: str) -> str:
    """An agent without its versions: an update is nobody new."""
    return _VERSION.sub("*", agent.strip())[:_AGENT_LENGTH_MAX]


def named(kind: str, address: str, agent: str) -> str | None:
    """What the source of that kind is called; None: there is none."""
    return network_of(address) if kind == NETWORK else agent_of(agent)


def familiar(known: Known, most: int) -> list[str]:
    """The best known ones, for evidence."""
    return sorted(known.sources, key=lambda name: (-known.sources[name].days, name))[:most]
