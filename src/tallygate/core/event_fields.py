"""What a stranger's JSON says of an event, field by field: its names, its counts, its time.

Each is read under any of its names and in any of the notations that senders use; what can not be
read exactly is refused by name.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from tallygate.core.errors import Code, Refusal
from tallygate.core.usage import (
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
)

TOKENS_MAX: Final = 10_000_000  # in one event; more is a mistake of the sender's
AHEAD_MS_MAX: Final = 5 * 60_000
DAY_MS: Final = 86_400_000
ID_LENGTH_MAX: Final = 255
_MS_FROM: Final = 100_000_000_000  # a time from here on is in milliseconds
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = datetime(1970, 1, 1, 0, 0, 0, 1000) - datetime(1970, 1, 1)

Members = Mapping[str, Any]  # JSON of a stranger's: anything may be anywhere


def read_counts(usage: Members, *, is_run: bool) -> dict[str, int]:
    """The counts; a run may know its total only, which is then input: the cheaper of the two."""
    read = _count(usage, "input_tokens", "inputTokens", "prompt_tokens", "promptTokens")
    written = _count(usage, "output_tokens", "outputTokens", "completion_tokens")
    if written is None:
        written = _count(usage, "completionTokens")
    total = _count(usage, "total_tokens", "totalTokens")
    if total is not None:
        if read is None and (written is not None or is_run):
            read = total - (written or 0)
            written = written or 0
        elif read is not None and written is None:
            written = total - read
    if read is None or written is None:
        raise Refusal(Code.USAGE_MISSING, "the event does not say input_tokens and output_tokens")
    if (total is not None and total != read + written) or read < 0 or written < 0:
        raise Refusal(
            Code.TOKEN_TOTAL_MISMATCH,
            f"total_tokens is {total}, its parts are {read} and {written}",
            param="total_tokens",
        )
    if read + written > TOKENS_MAX:
        raise _out_of_range("total_tokens")
    counts = {INPUT_TOKENS: read, OUTPUT_TOKENS: written}
    _count_cached(usage, counts)
    return counts


def _count_cached(usage: Members, counts: dict[str, int]) -> None:
    cached = 0
    for dimension, camel in (
        (CACHE_READ_TOKENS, "cacheReadTokens"),
        (CACHE_WRITE_TOKENS, "cacheWriteTokens"),
    ):
        count = _count(usage, dimension, camel)
        if count:
            counts[dimension] = count
            cached += count
    if cached > counts[INPUT_TOKENS]:
        raise Refusal(Code.TOKEN_TOTAL_MISMATCH, "cached tokens are a part of the input")


def _count(usage: Members, *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if value is None:
            continue
        if type(value) is not int:
            value = _whole(value, name)
        if not 0 <= value <= TOKENS_MAX:
            raise _out_of_range(name)
        return value
    return None


def _whole(value: Any, name: str) -> int:
    """A count that was written as 1500.0, or as a text."""
    if isinstance(value, Decimal):
        if value.is_finite() and value.adjusted() > 18:
            raise _out_of_range(name)
        if value.is_finite() and value.adjusted() >= -400 and value == value.to_integral_value():
            return int(value)
    elif isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise Refusal(Code.BAD_REQUEST, f"`{name}` is no whole number", param=name)


def _out_of_range(name: str) -> Refusal:
    message = f"`{name}`: an event has from 0 to {TOKENS_MAX} tokens"
    return Refusal(Code.TOKENS_OUT_OF_RANGE, message, param=name)


def read_time(value: Any, now_ms: int, age_ms_max: int | None) -> int:
    """Milliseconds; a delivery that says no time is about now."""
    if value is None or value == "":
        return now_ms
    at_ms = _milliseconds(value)
    if at_ms is None:
        raise Refusal(
            Code.BAD_REQUEST,
            "`timestamp`: use a time like 2026-02-11T08:00:00Z",
            param="timestamp",
        )
    if at_ms > now_ms + AHEAD_MS_MAX:
        raise Refusal(Code.EVENT_IN_FUTURE, "the event's time is yet to come", param="timestamp")
    if age_ms_max is not None and at_ms < now_ms - age_ms_max:
        days = age_ms_max // DAY_MS
        raise Refusal(Code.EVENT_TOO_OLD, f"the event is older than {days} days", param="timestamp")
    return at_ms


def _milliseconds(value: Any) -> int | None:
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MILLISECOND
    if isinstance(value, Decimal) and value.is_finite() and -1 < value.adjusted() < 18:
        value = int(value * 1000) if value < _MS_FROM else int(value)
        return int(value)
    if isinstance(value, str):
        value = int(value)
    if type(value) is not int or not 0 <= value < 1 << 60:
        return None
    return value * 1000 if value < _MS_FROM else value


def named(first: Members, second: Members, *names: str) -> Any:
    """The value of whichever name is there, looked for in one object, then in the other."""
    for place in (first, second):
        for name in names:
            value = place.get(name)
            if value is not None:
                return value
    return None


def read_id(value: Any, name: str) -> str:
    """A name as a text: what two deliveries are compared by, so nothing of it is cut off."""
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str) or len(value) > ID_LENGTH_MAX or "\0" in value:
        message = f"`{name}` is a text of at most {ID_LENGTH_MAX} characters"
        raise Refusal(Code.BAD_REQUEST, message, param=name)
    return value


def read_text(value: Any) -> str:
    """Only recorded."""
    if isinstance(value, str):
        return value[:ID_LENGTH_MAX].replace("\0", "")
    return str(value) if type(value) is int else ""


def required(name: str) -> Refusal:
    return Refusal(Code.BAD_REQUEST, f"`{name}` is required", param=name)
