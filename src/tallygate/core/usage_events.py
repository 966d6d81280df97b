"""What a sender of `POST /api/usage-log` may say, read strictly: one event, or an array of them.

Times are brought down to now and never up, texts are bounded, and an event that names itself gets
what it is remembered by. Nothing is looked up here: any `token_hash` is taken. What users of a
token choose, their agent's name, is taken whatever it is: no request may spoil others' reports.
"""

import re
from typing import Annotated, Final

import msgspec

from tallygate.core.errors import Code, Refusal
from tallygate.core.json_refusals import refusal_of
from tallygate.core.usage_report import ReportedUse, event_in_delivery, event_of

HASH_LENGTH_MAX: Final = 128
ROUTE_LENGTH_MAX: Final = 512
NAME_LENGTH_MAX: Final = 128
ADDRESS_LENGTH_MAX: Final = 64
AGENT_KEPT: Final = 128  # as much as of the gateway's own clients
NUMBER_MAX: Final = 2**53 - 1
_HASH_DIGITS: Final = 64
_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPES: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)

_Text = Annotated[str, msgspec.Meta(max_length=ROUTE_LENGTH_MAX)]
_Number = (
    Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
    | Annotated[float, msgspec.Meta(ge=0, le=NUMBER_MAX)]
)


class UsageEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One use of a token; `timestamp` in milliseconds. What is null is as if it were left out."""

    token_hash: Annotated[str, msgspec.Meta(max_length=HASH_LENGTH_MAX)]
    route: _Text
    timestamp: _Number
    ip_address: Annotated[str, msgspec.Meta(max_length=ADDRESS_LENGTH_MAX)] | None = None
    user_agent: str | None = None
    response_status: Annotated[int, msgspec.Meta(ge=0, le=999)] | None = None
    response_time_ms: _Number | None = None
    event_id: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LENGTH_MAX)] | None = None


_decode = msgspec.json.Decoder(UsageEvent | list[UsageEvent]).decode


def read_uses(body: bytes, now_ms: int, events_max: int, delivery: bytes) -> list[ReportedUse]:
    """All that a body reports; Refusal if any of it can not be taken: then nothing is.

    `delivery` is what the whole delivery is known by, b"" if it has no name.
    """
    try:
        read = _decode(_with_whole_characters(body))
    except msgspec.ValidationError as error:
        raise refusal_of(str(error), UsageEvent) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(Code.BAD_REQUEST, f"the body is not valid JSON: {error}") from None
    events = read if isinstance(read, list) else [read]
    if not events:
        raise Refusal(Code.BAD_REQUEST, "the array is empty: send at least one event")
    if len(events) > events_max:
        raise Refusal(
            Code.TOO_LARGE, f"{len(events)} events are too many: send at most {events_max} at once"
        )
    if b"\\u0000" in body:
        _look_for_zeros(events)
    return [_use(event, now_ms, delivery, number) for number, event in enumerate(events)]


def _use(event: UsageEvent, now_ms: int, delivery: bytes, number: int) -> ReportedUse:
    at_ms = int(event.timestamp)
    name = b""
    if event.event_id is not None:
        name = event_of(event.event_id)
    elif delivery:
        name = event_in_delivery(delivery, number)
    return ReportedUse(
        _token(event.token_hash),
        event.route,
        at_ms if at_ms < now_ms else now_ms,
        event.ip_address or "",
        event.user_agent[:AGENT_KEPT] if event.user_agent else "",
        event.response_status or 0,
        int(event.response_time_ms or 0),
        name,
    )


def _token(text: str) -> bytes:
    """The SHA-256 that the digits stand for; b"" for anything else, which no token has."""
    if len(text) != _HASH_DIGITS:
        return b""
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        return b""
    return digest if len(digest) * 2 == _HASH_DIGITS else b""


def _with_whole_characters(body: bytes) -> bytes:
    """Half a character, as JavaScript leaves where it cuts, is none: U+FFFD stands for it."""
    return _ESCAPES.sub(_whole, body) if _HALF.search(body) else body


def _whole(found: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if found["half"] else found[0]


def _look_for_zeros(events: list[UsageEvent]) -> None:
    """No store keeps a text with a NUL in it."""
    for number, event in enumerate(events):
        if event.user_agent:
            event.user_agent = event.user_agent.replace("\0", "\ufffd")
        for field in ("token_hash", "route", "ip_address", "event_id"):
            if "\0" in (getattr(event, field) or ""):
                at = f"[{number}].{field}"
                raise Refusal(Code.BAD_REQUEST, f"`{at}` must not hold a NUL", param=at)
