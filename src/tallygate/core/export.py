"""Lines of CSV and JSONL. In CSV no text is taken for a formula by the program that opens it."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

# What spreadsheets begin a formula with: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")

_encode = msgspec.json.encode


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows of texts, numbers and None, in the order of the columns."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    return written.getvalue()


def csv_head(columns: Sequence[str]) -> str:
    return csv_lines(columns, [dict(zip(columns, columns, strict=True))])


def _cell(value: Any) -> Any:
    """Numbers are ours; a text may be anybody's: a client names its own agent."""
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return f"'{value}"
    return value


def jsonl_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    lines = (_encode({column: row[column] for column in columns}).decode() for row in rows)
    return "".join(f"{line}\n" for line in lines)
