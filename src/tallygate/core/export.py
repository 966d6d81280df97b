"""Lines of CSV and JSONL. In CSV no text is taken for a formula by the program that opens it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

# What spreadsheets begin a formula with: https://owasp.org/www-community/attacks/CSV_Injection
# The last four are the full-width forms, which some read as the others where people write Chinese.
_FORMULAS = (*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

_QUOTED = re.compile(r'[",\r\n]')

_encode = msgspec.json.encode


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows of texts, numbers and None, in the order of the columns, as RFC 4180 has them."""
    return "".join(",".join(_cell(row[column]) for column in columns) + "\r\n" for row in rows)


def csv_head(columns: Sequence[str]) -> str:
    return csv_lines(columns, [dict(zip(columns, columns, strict=True))])


def _cell(value: Any) -> str:
    """Numbers are ours; a text may be anybody's: a client names its own agent."""
    text = "" if value is None else str(value)
    if not isinstance(value, str):
        return text
    if text.startswith(_FORMULAS):
        text = f"'{text}"
    if _QUOTED.search(text):
        text = '"' + text.replace('"', '""') + '"'
    return text


def jsonl_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    lines = (_encode({column: row[column] for column in columns}).decode() for row in rows)
    return "".join(f"{line}\n" for line in lines)
