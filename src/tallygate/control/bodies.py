"""Request bodies: JSON whatever the Content-Type, parsed strictly into the struct of its call.

A struct says which fields there are and what they may hold; a refusal names the field at fault. The
same structs are the schemas of the OpenAPI document.
"""

import datetime
import re
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Request, Response

from tallygate.core.errors import Code, Refusal
from tallygate.core.json_refusals import refusal_of
from tallygate.core.limits import AMOUNT_MAX
from tallygate.core.windows import zone_of

BODY_BYTES_MAX = 1 << 20
TEXT_LENGTH_MAX = 1000
_NUL = b"\\u0000"  # as JSON writes it; as a byte of its own it is no JSON

Amount = Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX, description="0 lets nothing through")]
Text = Annotated[str, msgspec.Meta(max_length=TEXT_LENGTH_MAX)]

B = TypeVar("B", bound="Body")


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all request bodies."""


async def read(request: Request, kind: type[B]) -> B:
    """The body as `kind`; no body at all reads like `{}`."""
    return parse(await receive(request), kind)


async def receive(request: Request) -> bytes:
    """The body as it came, if it is not too large."""
    received = bytearray()
    async for piece in request.stream():
        received += piece
        if len(received) > BODY_BYTES_MAX:
            raise Refusal(
                Code.TOO_LARGE, f"the body is larger than {BODY_BYTES_MAX} bytes; send less"
            )
    return bytes(received)


def parse(received: bytes, kind: type[B]) -> B:
    if _NUL in received and _NUL in received.replace(rb"\\", b""):
        raise Refusal(Code.BAD_REQUEST, "leave out NUL characters")
    try:
        return msgspec.json.decode(received if received.strip() else b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise refusal_of(str(error), kind) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(Code.BAD_REQUEST, f"the body is not valid JSON: {error}") from None


def refuse_nul_in_query(request: Request) -> None:
    """PostgreSQL keeps no text that has one, so nothing of that name is anywhere."""
    for name, value in request.query_params.multi_items():
        if "\0" in name + value:
            raise Refusal(Code.BAD_REQUEST, f"`{name}`: leave out NUL characters", param=name)


def answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as JSON; what it holds is the caller's, so no cache may keep it."""
    return Response(
        msgspec.json.encode(value),
        status,
        {"cache-control": "no-store", **(headers or {})},
        "application/json",
    )


def read_day(text: str, field: str = "day") -> datetime.date:
    """A calendar day as callers write it: YYYY-MM-DD and nothing else."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        try:
            day = datetime.date.fromisoformat(text)
        except ValueError:
            day = datetime.date.min
        if 1970 <= day.year < 9999:
            return day
    raise Refusal(
        Code.BAD_REQUEST, f"`{field}`: use a date like 2026-02-11, not {text[:40]!r}", param=field
    )


def rfc3339(at_ms: int | None) -> str | None:
    """A time as everything outside /admin writes it."""
    if at_ms is None:
        return None
    moment = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_time(value: datetime.datetime, field: str) -> int:
    """Milliseconds of an RFC 3339 time, which must say its offset."""
    if value.tzinfo is None:
        raise Refusal(
            Code.BAD_REQUEST,
            f"`{field}`: say the time zone, as in 2026-02-11T08:00:00Z",
            param=field,
        )
    return int(value.timestamp() * 1000)


def query_time(request: Request, name: str, zone: str, *, days_later: int = 0) -> int | None:
    """A day or a time in the query. A day begins where the operator's days begin; `days_later`
    moves a day, not a time."""
    text = request.query_params.get(name, "")
    if not text:
        return None
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        day = read_day(text, name) + datetime.timedelta(days=days_later)
        midnight = datetime.datetime.combine(day, datetime.time(), zone_of(zone))
        return int(midnight.timestamp() * 1000)
    try:
        # A plus that was not encoded arrives as a space.
        moment = datetime.datetime.fromisoformat(text.replace(" ", "+"))
        return read_time(moment, name)
    except (ValueError, OverflowError):
        message = f"`{name}`: use a day like 2026-02-11, or a time like 2026-02-11T08:00:00Z"
        raise Refusal(Code.BAD_REQUEST, message, param=name) from None


def plain(value: msgspec.Struct) -> dict[str, Any]:
    """A struct's set fields by name, to build another struct from."""
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    return {name: field for name, field in fields.items() if field is not msgspec.UNSET}
