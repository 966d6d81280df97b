"""Prices in files: CSV for a spreadsheet, JSON for a program; what is exported can be imported.

The fields are those of /api/models. A bad file is refused whole, with the line that is at fault.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tallygate.cli.failures import Fault
from tallygate.control.amounts import Decimals, read_decimal, read_optional
from tallygate.core.errors import Refusal
from tallygate.core.price_commands import ImportedPrice
from tallygate.core.price_terms import TOKEN_PRICES, Version, Written, write_terms

FILE_BYTES_MAX = 16 << 20
PRICES = (*TOKEN_PRICES, "request_price")
COLUMNS = ("model_name", *PRICES, "currency", "per_tokens", "is_active", "aliases")
ALIAS_MARK = "|"
_YES = frozenset({"true", "1", "yes", ""})
_NO = frozenset({"false", "0", "no"})


class _Row(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A model in a JSON file."""

    model_name: str
    input_token_price: Decimals
    output_token_price: Decimals
    cache_read_token_price: Decimals | msgspec.UnsetType = msgspec.UNSET
    cache_write_token_price: Decimals | msgspec.UnsetType = msgspec.UNSET
    request_price: Decimals | msgspec.UnsetType = msgspec.UNSET
    currency: str | msgspec.UnsetType = msgspec.UNSET
    per_tokens: int | msgspec.UnsetType = msgspec.UNSET
    is_active: bool = True
    aliases: list[str] = []


def rows_of(versions: Iterable[Version], aliases: dict[str, str]) -> list[dict[str, Any]]:
    """What a file says of each model, in the order of the columns."""
    return [
        {
            "model_name": version.model,
            **write_terms(version.terms),
            "aliases": sorted(name for name, model in aliases.items() if model == version.model),
        }
        for version in versions
    ]


def to_csv(rows: Iterable[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        is_active = "true" if row["is_active"] else "false"
        aliases = ALIAS_MARK.join(row["aliases"])
        writer.writerow({**row, "is_active": is_active, "aliases": aliases})
    return text.getvalue()


def read(path: Path) -> list[ImportedPrice]:
    """The models of a file; its name says which of the two kinds it is."""
    if path.stat().st_size > FILE_BYTES_MAX:
        raise Fault(f"{path} is larger than {FILE_BYTES_MAX >> 20} MB")
    content = path.read_bytes()
    try:
        if path.suffix.lower() == ".json":
            return _read_json(content)
        if path.suffix.lower() == ".csv":
            return list(_read_csv(content.decode("utf-8-sig")))
    except (msgspec.MsgspecError, UnicodeDecodeError, csv.Error) as error:
        raise Fault(f"{path}: {error}") from None
    except Refusal as refusal:
        raise Fault(f"{path}: {refusal.message}") from None
    raise Fault(f"{path}: name it .csv or .json, so that it is clear what it is")


def _read_json(content: bytes) -> list[ImportedPrice]:
    return [_imported(row) for row in msgspec.json.decode(content, type=list[_Row])]


def _imported(row: _Row) -> ImportedPrice:
    price = Written(currency=row.currency, per_tokens=row.per_tokens, is_active=row.is_active)
    for field in PRICES:
        raw = getattr(row, field)
        if raw is not msgspec.UNSET:
            is_optional = field.startswith("cache_")
            setattr(price, field, (read_optional if is_optional else read_decimal)(raw, field))
    return ImportedPrice(model_name=row.model_name, price=price, aliases=row.aliases)


def _read_csv(text: str) -> Iterator[ImportedPrice]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    columns = reader.fieldnames or []
    if unknown := [name for name in columns if name not in COLUMNS]:
        raise csv.Error(f"unknown column {unknown[0]!r}; known: {', '.join(COLUMNS)}")
    if missing := [name for name in COLUMNS[:3] if name not in columns]:
        raise csv.Error(f"the column {missing[0]!r} is missing")
    if len(set(columns)) < len(columns):
        raise csv.Error("a column is there twice")
    for row in reader:
        if None in row or None in row.values():
            raise csv.Error(f"line {reader.line_num} has not as many fields as there are columns")
        try:
            yield _from_texts(row)
        except ValueError as error:
            raise csv.Error(f"line {reader.line_num}: {error}") from None


def _from_texts(row: dict[str, str]) -> ImportedPrice:
    """A cell that is empty says nothing: what is usual."""
    price = Written(is_active=_truth(row.get("is_active", "")))
    for field in (*PRICES, "currency"):
        if text := row.get(field, "").strip():
            setattr(price, field, text)
    if per_tokens := row.get("per_tokens", "").strip():
        if not (per_tokens.isascii() and per_tokens.isdecimal()):
            raise ValueError("per_tokens: use 1000 or 1000000")
        price.per_tokens = int(per_tokens[:9])
    aliases = [name.strip() for name in row.get("aliases", "").split(ALIAS_MARK)]
    return ImportedPrice(
        model_name=row["model_name"].strip(),
        price=price,
        aliases=[name for name in aliases if name],
    )


def _truth(text: str) -> bool:
    word = text.strip().lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError(f"is_active: use true or false, not {text[:40]!r}")
