"""Figures about usage as answers bear them: sums, rates, percentiles, and whose they are."""

from typing import Any

import msgspec

from tallygate.control.amounts import Points, points
from tallygate.control.bodies import rfc3339
from tallygate.core.histogram import percentile
from tallygate.core.rollup import LAST, STEPS, SUMS, Row
from tallygate.store.usage_views import KeyName

_AT = {name: number for number, name in enumerate(SUMS)}


class Figures(msgspec.Struct, kw_only=True):
    """`errors` are answers of 4xx and 5xx and those that never came or broke off; `refused` of
    them were 401, 403 or 429. `points` are what gateways charged."""

    uses: int
    errors: int
    refused: int
    error_rate: float
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_tokens: int
    points: Points
    points_micros: int
    mean_ms: int | None


class Rates(msgspec.Struct, kw_only=True):
    """How uses ended. `failures` had no answer, or not to its end."""

    uses: int
    client_errors: int
    server_errors: int
    failures: int
    refused: int
    error_rate: float


class Latency(msgspec.Struct, kw_only=True):
    """Durations in milliseconds, of those that are known; null: of none."""

    timed: int
    mean_ms: int | None
    p50_ms: int | None
    p90_ms: int | None
    p95_ms: int | None
    p99_ms: int | None


class Named(msgspec.Struct, kw_only=True):
    """Who a key or token is. Of a key that is gone altogether only the id is left."""

    id: str
    kind: str
    label: str
    masked: str
    user_id: str
    team_id: str
    team: str
    is_active: bool
    is_deleted: bool
    created_at: str | None
    last_used: str | None


def errors_of(row: Row) -> int:
    return row[_AT["client_errors"]] + row[_AT["server_errors"]] + row[_AT["failures"]]


def share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def fields(row: Row) -> dict[str, Any]:
    """The fields of Figures, each of its own type."""
    of = dict(zip(SUMS, row, strict=False))
    return {
        "uses": of["uses"],
        "errors": errors_of(row),
        "refused": of["refused"],
        "error_rate": share(errors_of(row), of["uses"]),
        "input_tokens": of["input_tokens"],
        "output_tokens": of["output_tokens"],
        "total_tokens": of["input_tokens"] + of["output_tokens"],
        "cached_tokens": of["cached_tokens"],
        "points": points(of["charge_micros"]),
        "points_micros": of["charge_micros"],
        "mean_ms": round(of["duration_ms"] / of["timed"]) if of["timed"] else None,
    }


def figures(row: Row) -> Figures:
    return Figures(**fields(row))


def rates(row: Row) -> Rates:
    names = ("uses", "client_errors", "server_errors", "failures", "refused")
    return Rates(
        **{name: row[_AT[name]] for name in names},
        error_rate=share(errors_of(row), row[_AT["uses"]]),
    )


def latency(row: Row) -> Latency:
    counts = row[STEPS:]
    timed = sum(counts)
    return Latency(
        timed=timed,
        mean_ms=round(row[_AT["duration_ms"]] / timed) if timed else None,
        p50_ms=percentile(counts, 0.5),
        p90_ms=percentile(counts, 0.9),
        p95_ms=percentile(counts, 0.95),
        p99_ms=percentile(counts, 0.99),
    )


def named(key_id: int, name: KeyName | None) -> Named:
    if name is None:
        blank = dict.fromkeys(("kind", "label", "masked", "user_id", "team_id", "team"), "")
        return Named(
            id=str(key_id),
            is_active=False,
            is_deleted=True,
            created_at=None,
            last_used=None,
            **blank,
        )
    return Named(
        id=str(name.id),
        kind=name.kind,
        label=name.label,
        masked=name.masked,
        user_id=name.user_id,
        team_id=name.team_id,
        team=name.team,
        is_active=name.is_active,
        is_deleted=name.is_deleted,
        created_at=rfc3339(name.created_ms),
        last_used=rfc3339(name.last_used_ms),
    )


def last_use(row: Row) -> str | None:
    return rfc3339(row[LAST] or None)
