"""Anomalies of keys: their kinds, the evidence that each comes with, and what is told of them."""

import enum
import math
from typing import Any, Final

import msgspec

from tallygate.core.anomaly_baseline import Unusual
from tallygate.core.anomaly_sources import DAY_MS, NETWORK, Met, Woken
from tallygate.core.budget import NewNotice

HOUR_MS: Final = 3_600_000
STALE_MS: Final = DAY_MS  # uses that are told of later than that are learnt from, and no news
HOURS_TOLD_MAX: Final = 48
USUAL_TOLD_MAX: Final = 5
NAMELESS: Final = "(none)"  # an agent that does not say what it is


class Kind(enum.StrEnum):
    """What is out of the ordinary."""

    VOLUME = "volume"
    SOURCE = "source"
    ERRORS = "errors"
    DORMANT = "dormant"


class What(enum.StrEnum):
    """What was seen, for who words a notice."""

    USES = "uses_in_hour"
    FAILED_USES = "failed_uses_in_hour"
    NETWORK = "new_network"
    AGENT = "new_agent"
    USED_AGAIN = "used_again"
    FIRST_USE = "first_use"


class Throttle(enum.StrEnum):
    """What happens to a key meanwhile."""

    OFF = "off"
    SLOW = "slow"  # so many requests a minute
    STOP = "stop"  # none


OPEN, ACKNOWLEDGED = "open", "acknowledged"
STATES: Final = (OPEN, ACKNOWLEDGED)
# How long nothing more may be seen until an event is over: what comes then is another one.
QUIET_MS: Final = {
    Kind.VOLUME: 3 * HOUR_MS,
    Kind.ERRORS: 3 * HOUR_MS,
    Kind.SOURCE: DAY_MS,
    Kind.DORMANT: DAY_MS,
}
# A failing backend is no fault of who calls it.
THROTTLED: Final = (Kind.VOLUME, Kind.SOURCE, Kind.DORMANT)


class Use(msgspec.Struct, kw_only=True):
    """One of the first uses of an event."""

    request_id: str
    at_ms: int
    route: str
    model: str
    status: int
    address: str
    agent: str


class Evidence(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What was expected, what was seen, and how unlikely that is.

    `chance` is a probability as a power of ten. `score` and `record` say how far off the event and
    the strangest hour before it are, in units of the key's usual spread. `hours` are those of an
    event that goes on: when each began and what it saw. `sources` are the unfamiliar ones, `usual`
    the best known ones beside them.
    """

    what: str
    expected: float | None = None
    seen: float | None = None
    uses: int | None = None
    chance: float | None = None
    score: float | None = None
    record: float | None = None
    hours: list[tuple[int, int]] = []
    sources: list[str] = []
    usual: list[str] = []
    quiet_days: float | None = None
    longest_days: float | None = None
    rows: list[Use] = []


class Verdict(msgspec.Struct, kw_only=True):
    """Something of a key is an anomaly. `from_ms` to `until_ms` is where to find its uses."""

    kind: Kind
    key_id: int
    at_ms: int
    evidence: Evidence
    from_ms: int
    until_ms: int
    is_failed: bool = False  # only those that failed
    address: str | None = None  # only those from there
    agent: str | None = None


def of_hour(kind: Kind, key_id: int, at_s: int, found: Unusual, now_ms: int) -> Verdict:
    """Far too many uses, or failing ones, in an hour."""
    evidence = Evidence(
        what="uses in an hour" if kind is Kind.VOLUME else "failed uses in an hour",
        expected=round(found.expected, 2),
        seen=found.seen,
        uses=found.uses,
        chance=round(found.log10_chance, 1),
        score=round(found.score, 1),
        record=round(found.record, 1),
        hours=[(at_s, found.seen)],
    )
    begin_ms = at_s * 1000
    return Verdict(
        kind=kind,
        key_id=key_id,
        at_ms=max(begin_ms, min(now_ms, begin_ms + HOUR_MS - 1)),
        evidence=evidence,
        from_ms=begin_ms,
        until_ms=begin_ms + HOUR_MS,
        is_failed=kind is Kind.ERRORS,
    )


def merged(before: Evidence, after: Evidence) -> Evidence:
    """The evidence of an event that goes on: its strangest hour, and all that it has seen."""
    hours = dict(before.hours) | dict(after.hours)
    is_stranger = (after.score or 0.0) > (before.score or 0.0)
    return msgspec.structs.replace(
        after if is_stranger else before,
        hours=sorted(hours.items())[-HOURS_TOLD_MAX:],
        sources=list(dict.fromkeys([*before.sources, *after.sources]))[:HOURS_TOLD_MAX],
        rows=before.rows or after.rows,
    )


def of_source(met: Met, kind: str, name: str, likely: float, usual: list[str]) -> Verdict:
    """A network or an agent that this key is not used from."""
    is_network = kind == NETWORK
    evidence = Evidence(
        what="a network that is new for this key" if is_network else "an agent that is new for it",
        expected=round(likely, 5),
        seen=1,
        uses=met.uses,
        chance=round(math.log10(likely), 1),
        sources=[name or NAMELESS],
        usual=usual,
    )
    return Verdict(
        kind=Kind.SOURCE,
        key_id=met.key_id,
        at_ms=met.first_ms,
        evidence=evidence,
        from_ms=met.first_ms,
        until_ms=met.last_ms + 1,
        address=met.address if is_network else None,
        agent=None if is_network else met.agent,
    )


def of_waking(key_id: int, at_ms: int, found: Woken) -> Verdict:
    """A key that is used again after it had slept."""
    longest = found.longest_ms / DAY_MS
    evidence = Evidence(
        what="used again after a long silence" if found.days else "used for the first time",
        chance=None if found.log10_chance is None else round(found.log10_chance, 1),
        quiet_days=round(found.quiet_ms / DAY_MS, 1),
        longest_days=round(longest, 1) if found.days else None,
    )
    return Verdict(
        kind=Kind.DORMANT,
        key_id=key_id,
        at_ms=at_ms,
        evidence=evidence,
        from_ms=at_ms,
        until_ms=at_ms + DAY_MS,
    )


_TITLES: Final = {
    Kind.VOLUME: "is used far more than usual",
    Kind.SOURCE: "is used from an unfamiliar source",
    Kind.ERRORS: "fails far more than usual",
    Kind.DORMANT: "woke after a long silence",
}


def notice(
    verdict: Verdict, anomaly_id: int, label: str, user_id: str | None, throttle: Throttle
) -> NewNotice:
    """What somebody should hear: once for each event."""
    whose = f"{label} (key {verdict.key_id})" if label else f"Key {verdict.key_id}"
    done = {
        Throttle.OFF: "",
        Throttle.SLOW: " It was slowed down until this is acknowledged.",
        Throttle.STOP: " It was stopped until this is acknowledged.",
    }[throttle]
    data: dict[str, Any] = {  # JSON
        "anomaly_id": anomaly_id,
        "key_id": verdict.key_id,
        "key_label": label,
        "kind": verdict.kind.value,
        "what": _what(verdict).value,
        "throttle": throttle.value,
        **_told(verdict.evidence),
    }
    return NewNotice(
        kind=f"anomaly.{verdict.kind.value}",
        account_id=user_id,
        title=f"{whose} {_TITLES[verdict.kind]}",
        body=f"{_sentence(verdict.evidence)}{done}",
        data=data,
    )


def _what(verdict: Verdict) -> What:
    match verdict.kind:
        case Kind.VOLUME:
            return What.USES
        case Kind.ERRORS:
            return What.FAILED_USES
        case Kind.SOURCE:
            return What.NETWORK if verdict.address is not None else What.AGENT
    return What.FIRST_USE if verdict.evidence.longest_days is None else What.USED_AGAIN


def _told(evidence: Evidence) -> dict[str, object]:
    """What a notice says, and what it could be said with, by the names that the API has for it."""
    told = {
        "expected": evidence.expected,
        "seen": evidence.seen,
        "uses": evidence.uses,
        "log10_chance": evidence.chance,
        "quiet_days": evidence.quiet_days,
        "longest_quiet_days": evidence.longest_days,
        "sources": evidence.sources or None,
        "usual_sources": evidence.usual[:USUAL_TOLD_MAX] if evidence.sources else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _sentence(evidence: Evidence) -> str:
    if evidence.sources:
        usual = ", ".join(evidence.usual[:USUAL_TOLD_MAX]) or "nothing"
        return f"Seen: {evidence.what}: {evidence.sources[0]}. Usual: {usual}."
    if evidence.quiet_days is not None:
        return f"It was {evidence.what}: {plain(evidence.quiet_days)} days without a use."
    seen, usual = plain(evidence.seen or 0), plain(evidence.expected or 0)
    return f"Seen: {seen} {evidence.what}; usual: {usual}."


def plain(value: float) -> str:
    """`12.5`, `380`, `1234567`: as people write it."""
    return f"{value:.12g}"
