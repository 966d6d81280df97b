"""What other systems kept, as an import hands it to the clerk."""

import datetime

import msgspec


class OldKey(msgspec.Struct, frozen=True):
    """A key of the seed's quota proxy; it goes on working as it is."""

    secret: str
    label: str
    created_ms: int
    daily_limit: int | None
    is_active: bool

    def __repr__(self) -> str:
        return f"<OldKey {self.label!r}>"


class OldUsage(msgspec.Struct, frozen=True):
    """What the key `secret` used on one day."""

    secret: str
    day: datetime.date
    requests: int
    updated_ms: int

    def __repr__(self) -> str:
        return f"<OldUsage {self.day} {self.requests}>"


class Report(msgspec.Struct, kw_only=True):
    """`keys` and `days` are what was taken over now, `known` what earlier imports took."""

    keys: int = 0
    days: int = 0
    requests: int = 0
    known: int = 0
    skipped: dict[str, int] = {}  # reason → rows

    def skip(self, reason: str, rows: int = 1) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + rows

    def add(self, other: "Report") -> None:
        self.keys += other.keys
        self.days += other.days
        self.requests += other.requests
        self.known += other.known
        for reason, rows in other.skipped.items():
            self.skip(reason, rows)
