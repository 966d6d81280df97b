"""Deliveries that say what somebody used: bytes in, events out, or the refusal of each.

Taken are the seed's form (`event`, `data`, `request_id`, in snake or camel case), Dify's own
`message_end` and `workflow_finished`, and CloudEvents 1.0 around either, single or in a batch.
Keys that are missing or new are borne with where nothing depends on them; what would make a bill
wrong is refused by name. Prices that Dify states are never read: they are not what is charged.
"""

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec

from tallygate.core.charging import Event, Source
from tallygate.core.dify import DEFAULT_INSTANCE
from tallygate.core.errors import Code, Refusal
from tallygate.core.event_fields import (
    ID_LENGTH_MAX,
    TOKENS_MAX,
    Members,
    named,
    read_counts,
    read_id,
    read_text,
    read_time,
    required,
)
from tallygate.core.usage import INPUT_TOKENS, OUTPUT_TOKENS

EVENTS_MAX: Final = 1_000  # in one delivery

_MESSAGE_END: Final = "message_end"
_WORKFLOW_FINISHED: Final = "workflow_finished"


class Rules(msgspec.Struct, frozen=True):
    """What a delivery is held to, and what it says beside its body."""

    age_ms_max: int | None  # None: an operator sends it in again, whatever its age
    user: str = ""  # for events that name none
    source: Source = Source.WEBHOOK


class Item(msgspec.Struct, frozen=True):
    """One event of a delivery. Neither an event nor a refusal: it is about no usage.

    An event without a model is for the app that the delivery names.
    """

    payload: bytes
    event: Event | None = None
    refusal: Refusal | None = None


class Delivery(msgspec.Struct, frozen=True):
    """All that came in one body."""

    items: tuple[Item, ...]
    is_batch: bool = False


_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_LENGTH_MAX)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)]

_object = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_batch = msgspec.json.Decoder(list[msgspec.Raw])
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError)
_NOTHING: Final[Members] = {}


def read(body: bytes, now_ms: int, rules: Rules) -> Delivery:
    """What a delivery says; never raises."""
    if body.lstrip()[:1] != b"[":
        return Delivery((_item(body, now_ms, rules),))
    try:
        pieces = _batch.decode(body)
    except _UNREADABLE as error:
        return Delivery((Item(body, refusal=_not_json(error)),))
    if len(pieces) > EVENTS_MAX:
        refusal = Refusal(Code.TOO_LARGE, f"send at most {EVENTS_MAX} events at once")
        return Delivery((Item(body, refusal=refusal),))
    return Delivery(tuple(_item(bytes(one), now_ms, rules) for one in pieces), is_batch=True)


class _Data(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    message_id: _Id
    user_id: _Id
    model_name: _Id
    input_tokens: _Count
    output_tokens: _Count
    total_tokens: _Count | None = None
    conversation_id: _Id = ""
    timestamp: str | int | None = None


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The seed's form to the letter, which most deliveries have: read five times as fast.

    Whatever differs in the least is read member by member instead, and means the same.
    """

    event: Literal["message_end"]
    data: _Data
    request_id: _Id = ""


_plain = msgspec.json.Decoder(_Plain)
_NUL: Final = b"\\u0000"  # no name has one, and no text in PostgreSQL


def _plain_event(payload: bytes, now_ms: int, rules: Rules) -> Event | None:
    """None if it has to be read member by member."""
    if _NUL in payload:
        return None
    try:
        said = _plain.decode(payload)
    except _UNREADABLE:
        return None
    data = said.data
    read, written, total = data.input_tokens, data.output_tokens, data.total_tokens
    if (total is not None and total != read + written) or read + written > TOKENS_MAX:
        return None
    return Event(
        source=rules.source,
        instance=DEFAULT_INSTANCE,
        aliases=(("message", data.message_id),),
        account_id=data.user_id,
        model=data.model_name,
        counts={INPUT_TOKENS: read, OUTPUT_TOKENS: written},
        event_ms=read_time(data.timestamp, now_ms, rules.age_ms_max),
        request_id=said.request_id,
        conversation_id=data.conversation_id,
        message_id=data.message_id,
    )


def _item(payload: bytes, now_ms: int, rules: Rules) -> Item:
    try:
        event = _plain_event(payload, now_ms, rules)
    except Refusal as refusal:
        return Item(payload, refusal=refusal)
    return _item_by_members(payload, now_ms, rules) if event is None else Item(payload, event)


def _item_by_members(payload: bytes, now_ms: int, rules: Rules) -> Item:
    try:
        return Item(payload, _event(_object.decode(payload), now_ms, rules))
    except Refusal as refusal:
        return Item(payload, refusal=refusal)
    except _UNREADABLE as error:
        return Item(payload, refusal=_not_json(error))


def _not_json(error: Exception) -> Refusal:
    return Refusal(Code.BAD_REQUEST, f"the body is no JSON object of an event: {error}")


def _event(top: Members, now_ms: int, rules: Rules) -> Event | None:
    """The use that an object tells of; None if it tells of none."""
    if "specversion" in top:
        return _cloud_event(top, now_ms, rules)
    name = top.get("event")
    data = top.get("data")
    inner: Members = data if isinstance(data, dict) else _NOTHING
    if name == _MESSAGE_END or (name is None and _says_usage(inner, top)):
        return _used(inner, top, _message_aliases(inner, top), now_ms, rules)
    if name == _WORKFLOW_FINISHED:
        aliases = _run_aliases(inner, top)
        return _used(inner, top, aliases, now_ms, rules, is_run=True)
    if isinstance(name, str) and name:
        return None
    raise Refusal(Code.BAD_REQUEST, "`event` is required, such as message_end", param="event")


def _cloud_event(top: Members, now_ms: int, rules: Rules) -> Event | None:
    """The envelope says when and about whom, if what is in it does not."""
    if top["specversion"] != "1.0":
        raise Refusal(Code.BAD_REQUEST, "`specversion`: only CloudEvents 1.0 are understood")
    data = top.get("data")
    inner: dict[str, Any] = dict(data) if isinstance(data, dict) else {}
    kind = str(top.get("type", "")).rpartition(".")[2].rpartition("/")[2]
    if "event" not in inner and kind in (_MESSAGE_END, _WORKFLOW_FINISHED):
        inner["event"] = kind
    if "event" not in inner and not _says_usage(inner, _NOTHING):
        return None
    deep = inner.get("data")
    deeper: Members = deep if isinstance(deep, dict) else _NOTHING
    if not named(deeper, inner, "timestamp", "created_at") and "time" in top:
        inner["timestamp"] = top["time"]
    if not named(deeper, inner, "user_id", "userId", "user") and "subject" in top:
        inner["user_id"] = top["subject"]
    if inner.get("event") != _WORKFLOW_FINISHED and not _messageread_id(deeper, inner):
        inner["event"] = _MESSAGE_END
        return _used(deeper, inner, _envelope_alias(top), now_ms, rules)
    return _event(inner, now_ms, rules)


def _envelope_alias(top: Members) -> tuple[tuple[str, str], ...]:
    """`source` and `id` together name an event; without both, two would pass for one."""
    source, event_id = (read_id(top.get(name) or "", name) for name in ("source", "id"))
    if not source or not event_id:
        raise required("source" if not source else "id")
    # A URI has no space: without this one, «a b» with «c» would be «a» with «b c».
    return (("event", read_id(f"{source.replace(' ', '%20')} {event_id}", "id")),)


def _says_usage(inner: Members, top: Members) -> bool:
    names = ("input_tokens", "inputTokens", "prompt_tokens", "total_tokens", "totalTokens")
    return named(inner, top, *names) is not None


def _messageread_id(inner: Members, top: Members) -> str:
    """Dify's own events bear their id twice."""
    found = named(inner, top, "message_id", "messageId")
    if found is None and not inner:
        found = top.get("id")
    return "" if found is None else read_id(found, "message_id")


def _message_aliases(inner: Members, top: Members) -> tuple[tuple[str, str], ...]:
    message_id = _messageread_id(inner, top)
    if not message_id:
        raise required("message_id")
    return (("message", message_id), *_run_alias(inner, top))


def _run_aliases(inner: Members, top: Members) -> tuple[tuple[str, str], ...]:
    """A run that was part of a chat names its message too, and is the same use."""
    run = _run_alias(inner, top)
    if not run and (found := inner.get("id")):
        run = (("run", read_id(found, "workflow_run_id")),)
    if not run:
        raise required("workflow_run_id")
    found = named(inner, top, "message_id", "messageId")
    return (("message", read_id(found, "message_id")), *run) if found else run


def _run_alias(inner: Members, top: Members) -> tuple[tuple[str, str], ...]:
    found = named(inner, top, "workflow_run_id", "workflowRunId")
    return (("run", read_id(found, "workflow_run_id")),) if found else ()


def _used(
    inner: Members,
    top: Members,
    aliases: tuple[tuple[str, str], ...],
    now_ms: int,
    rules: Rules,
    *,
    is_run: bool = False,
) -> Event:
    counts = read_counts(_usage_of(inner, top), is_run=is_run)
    user = named(inner, top, "user_id", "userId", "user")
    model = named(inner, top, "model_name", "modelName", "model")
    kind, first_id = aliases[0]
    return Event(
        source=rules.source,
        instance=DEFAULT_INSTANCE,
        aliases=aliases,
        account_id=rules.user if user is None or user == "" else read_id(user, "user_id"),
        model="" if model is None else read_id(model, "model_name"),
        counts=counts,
        event_ms=read_time(
            named(inner, top, "timestamp", "created_at", "createdAt"), now_ms, rules.age_ms_max
        ),
        request_id=read_text(named(top, inner, "request_id", "requestId")),
        conversation_id=read_text(named(inner, top, "conversation_id", "conversationId")),
        message_id=first_id if kind == "message" else "",
        is_run=is_run,
    )


def _usage_of(inner: Members, top: Members) -> Members:
    """Where the counts are: in the data, in its `usage`, or in Dify's `metadata.usage`."""
    for place in (inner, top):
        metadata = place.get("metadata")
        usage = metadata.get("usage") if isinstance(metadata, dict) else place.get("usage")
        if isinstance(usage, dict):
            return usage
    return inner or top
