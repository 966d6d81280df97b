"""What a gateway worker counts: plain ints in lists, one row per provider.

`ended` and `refused` are on the path of every request: a look-up and a handful of additions, no
object made. Once a second the worker sends `encode()` to its clerk; `exposition` gives the numbers
their names.
"""

from collections.abc import Mapping

import msgspec

from tallygate.core.entry import Outcome
from tallygate.core.errors import Code
from tallygate.core.usage import INPUT_TOKENS, OUTPUT_TOKENS

FORMAT = 1

OUTCOMES = tuple(Outcome)
STATUS_CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
CELLS = len(OUTCOMES) * len(STATUS_CLASSES)

# A row: one cell per outcome and class of status, then sums, then the histogram of durations.
INPUT = CELLS
OUTPUT = CELLS + 1
DURATION_MS = CELLS + 2
BUCKETS = CELLS + 3
BUCKET_COUNT = 23  # bucket i holds durations below 2^i ms; the last one everything longer
ROW_LENGTH = BUCKETS + BUCKET_COUNT

# What a worker measures when it reports, rather than counts on the way.
GAUGES = (
    "connections_open",
    "requests_running",
    "upstream_connections_open",
    "buffered_bytes",
    "leases_held",
    "keys_known",
    "journal_room_bytes",
)
SUMS = (
    *("lease_refills", "journal_bytes", "journal_failures", "connections_accepted"),
    *("usage_reports", "usage_events", "usage_reports_refused"),
)

# Looked up by the value: hashing an enum's member runs Python code.
_CELL_OF = {outcome.value: index * len(STATUS_CLASSES) for index, outcome in enumerate(OUTCOMES)}


class Figures(msgspec.Struct, array_like=True):
    """What one worker has counted since its start, as it travels. Fields are only ever added."""

    format: int
    by_provider: dict[str, list[int]]
    refusals: dict[str, int]
    gauges: dict[str, int]
    sums: dict[str, int]
    unhealthy: list[str]  # providers whose circuit is open


class Counters:
    """The counters of one worker."""

    __slots__ = ("_refusals", "_rows", "gauges", "sums", "unhealthy")

    def __init__(self) -> None:
        self._rows: dict[str, list[int]] = {}
        self._refusals = {code.value: 0 for code in Code}
        self.gauges = dict.fromkeys(GAUGES, 0)
        self.sums = dict.fromkeys(SUMS, 0)
        self.unhealthy: list[str] = []

    def __repr__(self) -> str:
        return f"<Counters of {len(self._rows)} providers>"

    def ended(
        self,
        outcome: Outcome,
        status: int,
        duration_ms: int,
        counts: Mapping[str, int],
        provider: str,
    ) -> None:
        """A request that was let through has ended."""
        row = self._rows.get(provider)
        if row is None:
            row = self._rows[provider] = [0] * ROW_LENGTH
        status_class = status // 100
        row[_CELL_OF[outcome._value_] + (status_class if status_class < 6 else 0)] += 1
        if counts:
            row[INPUT] += counts.get(INPUT_TOKENS, 0)
            row[OUTPUT] += counts.get(OUTPUT_TOKENS, 0)
        if duration_ms < 0:
            duration_ms = 0
        row[DURATION_MS] += duration_ms
        bucket = duration_ms.bit_length()
        row[BUCKETS + (bucket if bucket < BUCKET_COUNT else BUCKET_COUNT - 1)] += 1

    def refused(self, code: Code) -> None:
        """A request was not let through."""
        self._refusals[code._value_] += 1

    def encode(self) -> bytes:
        """For `core.ports.Gauges`, once a second."""
        figures = Figures(
            FORMAT, self._rows, self._refusals, self.gauges, self.sums, self.unhealthy
        )
        return msgspec.msgpack.encode(figures)


def decode(values: bytes) -> Figures | None:
    """What a worker sent; None if it has sent nothing yet or is of another version."""
    try:
        figures = msgspec.msgpack.decode(values, type=Figures)
    except msgspec.DecodeError:
        return None
    is_of_this_format = figures.format == FORMAT and all(
        len(row) == ROW_LENGTH for row in figures.by_provider.values()
    )
    return figures if is_of_this_format else None
