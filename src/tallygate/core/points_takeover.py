"""What the seed's points system kept in Supabase, as an import hands it to the clerk.

Rows come as whatever a table or an export holds: texts, numbers, nothing. Here they are read, and
what makes no sense is a reason that is counted, never a guess about money.
"""

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from tallygate.core.accounts import NAME_LENGTH_MAX, flaw_of_email, flaw_of_id, fold_email
from tallygate.core.limits import AMOUNT_MAX
from tallygate.core.money import BadAmount, parse_decimal, parse_points
from tallygate.core.price_commands import PriceChange
from tallygate.core.takeover import Report

# A user's balance stood in one of these; which one, their migrations decided.
BALANCES = ("balance", "points", "points_balance", "credits")
TEXT_MAX = 500

Row = Mapping[str, Any]  # a value is whatever its column holds


class Nonsense(Exception):
    """This row can not be taken over; the text is the reason that is counted."""


class OldAccount(msgspec.Struct, frozen=True):
    id: str
    name: str
    email: str | None
    balance_micros: int


class OldPrice(msgspec.Struct, frozen=True):
    """US dollars for 1,000 tokens."""

    model: str
    input_price: str
    output_price: str
    is_active: bool


class OldRate(msgspec.Struct, frozen=True):
    """Points for a US dollar, from `at_ms` on."""

    points: str
    at_ms: int
    actor: str
    reason: str


class OldUse(msgspec.Struct, frozen=True):
    """One use; costs are in points, as they were taken then."""

    id: str
    account_id: str
    model: str
    input_tokens: int
    output_tokens: int
    input_micros: int
    output_micros: int
    micros: int
    conversation_id: str
    message_id: str
    at_ms: int


class ImportPoints(PriceChange):
    """Take over a portion of what the seed's points system kept. → PointsReport."""

    NAME = "import.supabase"
    accounts: list[OldAccount] = msgspec.field(default_factory=list)
    prices: list[OldPrice] = msgspec.field(default_factory=list)
    rates: list[OldRate] = msgspec.field(default_factory=list)
    uses: list[OldUse] = msgspec.field(default_factory=list)
    is_dry_run: bool = False


class PointsReport(Report, kw_only=True):
    """`requests` counts uses."""

    accounts: int = 0
    opening_micros: int = 0
    prices: int = 0
    rates: int = 0

    def add(self, other: Report) -> None:
        super().add(other)
        assert isinstance(other, PointsReport), "reports of one import"
        self.accounts += other.accounts
        self.opening_micros += other.opening_micros
        self.prices += other.prices
        self.rates += other.rates


def read_account(row: Row) -> OldAccount:
    id_ = _text(row, "id", "user_id")
    if flaw := flaw_of_id(id_):
        raise Nonsense(f"a user whose id can not be used: {flaw}")
    email = fold_email(_text(row, "email")) if _text(row, "email") else None
    if email is not None and flaw_of_email(email):
        email = None
    name = _text(row, "name", "full_name", "username")[:NAME_LENGTH_MAX]
    written = next((row[one] for one in BALANCES if row.get(one) not in (None, "")), 0)
    return OldAccount(id_, name, email, _points(written, "a user with a balance"))


def read_price(row: Row) -> OldPrice:
    model = _text(row, "model_name", "model")
    if not model:
        raise Nonsense("a price without a model")
    return OldPrice(
        model,
        _decimal(row.get("input_token_price")),
        _decimal(row.get("output_token_price")),
        _truth(row.get("is_active", True)),
    )


def read_rate(row: Row) -> OldRate:
    """Of exchange_rates, or of their history."""
    points = _decimal(row["rate"] if row.get("rate") not in (None, "") else row.get("new_rate"))
    actor = _text(row, "admin_id", "created_by") or "import"
    at_ms = read_time(row.get("timestamp") or row.get("created_at"))
    return OldRate(points, at_ms, actor, _text(row, "reason"))


def read_use(row: Row) -> OldUse:
    account_id = _text(row, "user_id")
    if not account_id:
        raise Nonsense("a use of nobody")
    cost_in, cost_out = (
        _points(row.get(name) or 0, "a use with a cost") for name in ("input_cost", "output_cost")
    )
    names = ("points", "points_deducted", "total_cost", "cost")
    whole = next((row[one] for one in names if row.get(one) not in (None, "")), None)
    micros = cost_in + cost_out if whole is None else _points(whole, "a use with a cost")
    return OldUse(
        id=_text(row, "id") or _text(row, "message_id"),
        account_id=account_id,
        model=_text(row, "model", "model_name"),
        input_tokens=_count(row.get("input_tokens")),
        output_tokens=_count(row.get("output_tokens")),
        input_micros=cost_in,
        output_micros=cost_out,
        micros=micros,
        conversation_id=_text(row, "conversation_id"),
        message_id=_text(row, "message_id"),
        at_ms=read_time(row.get("created_at") or row.get("timestamp")),
    )


def read_time(written: Any) -> int:
    """Milliseconds of a time as PostgreSQL or an export writes it; without an offset it is UTC."""
    if not isinstance(written, datetime.datetime):
        try:
            written = datetime.datetime.fromisoformat(str(written).strip().replace(" ", "T", 1))
        except ValueError:
            raise Nonsense("a row without a time") from None
    if written.tzinfo is None:
        written = written.replace(tzinfo=datetime.UTC)
    return int(written.timestamp() * 1000)


def _text(row: Row, *names: str) -> str:
    """The first of these columns that holds something."""
    found = next((row[name] for name in names if row.get(name) not in (None, "")), "")
    return str(found).strip().replace("\0", "")[:TEXT_MAX]


def _decimal(written: Any) -> str:
    try:
        return str(parse_decimal(_exact(written)))
    except BadAmount as error:
        raise Nonsense(f"a price or rate that is no number: {error}") from error


def _points(written: Any, what: str) -> int:
    try:
        return parse_points(_exact(written))
    except BadAmount as error:
        raise Nonsense(f"{what} that can not be read: {error}") from error


def _exact(written: Any) -> str | int | Decimal:
    """A float never comes from a table of ours; an export in JSON is read with Decimal."""
    if isinstance(written, str | int | Decimal) and not isinstance(written, bool):
        return written
    return str(written)


def _count(written: Any) -> int:
    try:
        count = int(str(written or 0))
    except ValueError:
        raise Nonsense("a use whose tokens are no number") from None
    if not 0 <= count <= AMOUNT_MAX:
        raise Nonsense("a use whose tokens are out of range")
    return count


def _truth(written: Any) -> bool:
    return str(written).strip().lower() in ("true", "t", "1", "yes")
