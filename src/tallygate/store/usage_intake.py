"""What reports of uses became, by the day: logged, repeated, of unknown tokens, refused.

Bounded whatever comes in: of a day a few unknown tokens are told apart, all others are one row, and
old days are forgotten. A day is that of the report's arrival, so nobody can make up days.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from tallygate.core.usage_report import RefusedReports, ReportedUse
from tallygate.store.database import Tx
from tallygate.store.usage_schema import usage_intake

LOGGED, REPEATED, UNKNOWN, REFUSED = "logged", "repeated", "unknown", "refused"
DAY_S = 86_400
KEEP_DAYS = 90
UNKNOWN_TOLD_APART_MAX = 100  # of a day
NO_HASH = "not a SHA-256"
OTHERS = "others"
_SHOWN_DIGITS = 12

_Key = tuple[str, str]  # kind, detail
_Tally = tuple[int, int, str]  # how many, when last (0: now), an example


@dataclass(slots=True)
class Intake:
    """What some reports have become."""

    logged: int = 0
    repeated: int = 0
    unknown: dict[str, tuple[int, str]] = field(default_factory=dict)  # how many, latest route
    refused: dict[str, _Tally] = field(default_factory=dict)

    def add_unknown(self, use: ReportedUse) -> None:
        """The hash is cut: what was sent may be somebody's secret."""
        name = f"{use.token.hex()[:_SHOWN_DIGITS]}…" if use.token else NO_HASH
        self.unknown[name] = (self.unknown.get(name, (0, ""))[0] + 1, use.route)

    def add_refused(self, refused: Iterable[RefusedReports]) -> None:
        for one in refused:
            count, last_ms, address = self.refused.get(one.code, (0, 0, ""))
            if one.last_ms >= last_ms:
                last_ms, address = one.last_ms, one.address
            self.refused[one.code] = (count + one.count, last_ms, address)


@dataclass(frozen=True, slots=True)
class Row:
    day_s: int
    kind: str
    detail: str
    counted: int
    last_ms: int
    example: str

    def joined(self, other: "Row") -> "Row":
        """Both together, with the later one's example."""
        later = max(self, other, key=lambda row: row.last_ms)
        return replace(later, counted=self.counted + other.counted)


_ADD = sa.text(
    "INSERT INTO usage_intake (day_s, kind, detail, counted, last_ms, example) "
    "VALUES (:day_s, :kind, :detail, :counted, :last_ms, :example) "
    "ON CONFLICT (day_s, kind, detail) DO UPDATE SET "
    "counted = usage_intake.counted + excluded.counted, "
    "example = CASE WHEN excluded.last_ms >= usage_intake.last_ms "
    "THEN excluded.example ELSE usage_intake.example END, "
    "last_ms = CASE WHEN excluded.last_ms >= usage_intake.last_ms "
    "THEN excluded.last_ms ELSE usage_intake.last_ms END"
)


async def add(tx: Tx, intake: Intake, now_ms: int) -> None:
    """In the order of their keys: two nodes that count at once do not block each other."""
    day_s = now_ms // 1000 // DAY_S * DAY_S
    tallies: dict[_Key, _Tally] = {(REFUSED, code): tally for code, tally in intake.refused.items()}
    if intake.logged:
        tallies[LOGGED, ""] = (intake.logged, now_ms, "")
    if intake.repeated:
        tallies[REPEATED, ""] = (intake.repeated, now_ms, "")
    for name, (count, route) in (await _told_apart(tx, intake.unknown, day_s)).items():
        tallies[UNKNOWN, name] = (count, now_ms, route)
    rows = [
        {
            "day_s": day_s,
            "kind": kind,
            "detail": detail,
            "counted": count,
            "last_ms": last_ms,
            "example": example,
        }
        for (kind, detail), (count, last_ms, example) in sorted(tallies.items())
    ]
    if rows:
        await tx.later(_ADD, rows)


async def _told_apart(
    tx: Tx, unknown: dict[str, tuple[int, str]], day_s: int
) -> dict[str, tuple[int, str]]:
    """Names that have a row of their own today, or may still get one; the rest are others."""
    if not unknown:
        return {}
    is_today = sa.and_(usage_intake.c.day_s == day_s, usage_intake.c.kind == UNKNOWN)
    known = set((await tx.execute(sa.select(usage_intake.c.detail).where(is_today))).scalars())
    told: dict[str, tuple[int, str]] = {}
    for name, (count, route) in sorted(unknown.items()):
        if name not in known and name != NO_HASH:
            if len(known) >= UNKNOWN_TOLD_APART_MAX:
                name = OTHERS
            else:
                known.add(name)
        told[name] = (told.get(name, (0, ""))[0] + count, route)
    return told


async def read(tx: Tx, since_ms: int) -> list[Row]:
    """Everything of the days since then, the latest day first, the largest counts first."""
    names = ("day_s", "kind", "detail", "counted", "last_ms", "example")
    columns = [usage_intake.c[name] for name in names]
    query = sa.select(*columns).where(usage_intake.c.day_s >= since_ms // 1000 // DAY_S * DAY_S)
    order = (usage_intake.c.day_s.desc(), usage_intake.c.counted.desc(), usage_intake.c.detail)
    found = await tx.execute(query.order_by(*order))
    return [Row(**row._mapping) for row in found]


async def clean(tx: Tx, now_ms: int) -> None:
    """Forget days that are long gone."""
    before_s = now_ms // 1000 - KEEP_DAYS * DAY_S
    await tx.execute(sa.delete(usage_intake).where(usage_intake.c.day_s < before_s))
