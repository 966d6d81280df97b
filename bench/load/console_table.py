"""The table of the console's first page, and of other products' dashboards beside it."""

from collections.abc import Iterator
from typing import Any

USABLE_MS_BAR = 1_500
_FIRST = (
    *("first_contentful_paint_ms", "largest_contentful_paint_ms", "usable_ms"),
    *("slowest_usable_ms", "requests"),
)
_HEAD = (
    "| dashboard | rows | first paint, ms | largest paint, ms | usable, ms | slowest | requests "
    "| script sent, KB | unpacked, KB | all sent, KB | again: usable, ms |"
)

Result = dict[str, Any]


def console_table(result: Result) -> Iterator[str]:
    if "console" not in result:
        return
    row = result["console"]
    yield _HEAD
    yield f"|---|{'--:|' * (_HEAD.count('|') - 2)}"
    yield _line("**Tallygate**, the overview", row)
    for name, one in row.get("peers", {}).items():
        yield _line(name, one)
    for name, reason in row.get("left_out", {}).items():
        yield f"| {name} | left out: {' '.join(reason.split()).replace('|', '/')} |{' |' * 9}"
    yield f"| bar, Tallygate | | | | ≤ {USABLE_MS_BAR} |{' |' * 6}"
    yield ""
    byte_ms, size = row["first"]["first_byte_ms"], row["overview_bytes"]
    yield f"Tallygate's first byte came after {byte_ms:g} ms; its numbers are {size:,} bytes."
    yield f"Each figure is the middle one of {row['times']}."
    yield ""


def _line(name: str, row: Result) -> str:
    first, again = row["first"], row["again"]
    figures = [f"{row['rows']:,}" if row["rows"] else "none"]
    figures += [f"{first[figure]:,g}" for figure in _FIRST]
    sizes = ("script_bytes", "script_unpacked_bytes", "transferred_bytes")
    figures += [f"{first[size] / 1000:,.0f}" for size in sizes]
    figures.append(f"{again['usable_ms']:,g}")
    return f"| {name} | {' | '.join(figures)} |"
