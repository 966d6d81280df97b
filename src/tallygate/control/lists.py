"""Lists as /api answers them: `?limit=&cursor=` → `{"items", "total", "next"}`."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from tallygate.core.errors import Code, Refusal

LIMIT_DEFAULT = 100
LIMIT_MAX = 1000

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], kw_only=True):
    """`next` is the cursor of the following page, null on the last one."""

    items: list[T]
    total: int
    next: str | None


def read_limit(text: str | None) -> int:
    if text is None:
        return LIMIT_DEFAULT
    if text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= LIMIT_MAX:
        return int(text)
    raise Refusal(
        Code.BAD_REQUEST, f"`limit`: use a whole number from 1 to {LIMIT_MAX}", param="limit"
    )


def read_cursor(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    raise Refusal(
        Code.BAD_REQUEST, "`cursor`: use the `next` of the page before, as it is", param="cursor"
    )


def cut(values: Sequence[T], limit: str | None, cursor: str | None) -> Page[T]:
    """A page of a list that is short enough to be read whole; its cursor is a position."""
    start, size = read_cursor(cursor) or 0, read_limit(limit)
    end = start + size
    return Page(
        items=list(values[start:end]),
        total=len(values),
        next=str(end) if end < len(values) else None,
    )
