"""Spans of OpenTelemetry with the attributes of Langfuse or of GenAI, as uses of models.

Newer Dify servers export so. The bytes are an ExportTraceServiceRequest, in protobuf or in JSON;
of the former only the few fields are read that matter, by their numbers in the protocol's files.
https://github.com/open-telemetry/opentelemetry-proto
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tallygate.core.dify_commands import Observation, TraceTold
from tallygate.core.langfuse import counts_of, text

SPANS_MAX: Final = 50_000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_META: Final = "langfuse.observation.metadata.dify."

Attributes = dict[str, Any]  # what AnyValue can hold, lists and maps left out


class BadSpans(ValueError):
    """The body is no export request. The message is public."""


class Span(msgspec.Struct):
    """As much of a span as matters."""

    trace_id: str
    span_id: str
    end_ms: int
    attributes: Attributes


def read_protobuf(body: bytes) -> list[TraceTold]:
    try:
        return _traces(_spans_of_protobuf(body))
    except (IndexError, struct.error, UnicodeDecodeError):
        raise BadSpans("The body is no ExportTraceServiceRequest in protobuf.") from None


def read_json(body: bytes) -> list[TraceTold]:
    try:
        return _traces(_spans_of_json(msgspec.json.decode(body)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, AttributeError, TypeError):
        raise BadSpans("The body is no ExportTraceServiceRequest in JSON.") from None


# --- what spans mean ---


def _traces(spans: Iterator[Span]) -> list[TraceTold]:
    traces: dict[str, TraceTold] = {}
    for number, span in enumerate(spans):
        if number >= SPANS_MAX:
            raise BadSpans(f"Send at most {SPANS_MAX} spans at once.")
        told = _told(span)
        # A call through several apps is one tree of spans, in which each message is one event.
        place = told.message_id or told.run_id or told.trace_id
        known = traces.setdefault(place, told)
        if known is not told:
            known.observations += told.observations
            known.event_ms = max(known.event_ms, told.event_ms)
            for name in ("account_id", "conversation_id", "message_id", "run_id"):
                setattr(known, name, getattr(known, name) or getattr(told, name))
    return list(traces.values())


def _told(span: Span) -> TraceTold:
    found = span.attributes
    message_id = text(found, f"{_META}message.id", "langfuse.trace.metadata.message_id")
    run_id = text(found, f"{_META}workflow.run_id", "langfuse.trace.metadata.workflow_run_id")
    used = _observation(span)
    return TraceTold(
        trace_id=message_id or run_id or span.trace_id,
        account_id=text(found, "user.id", "langfuse.user.id", f"{_META}user.id"),
        conversation_id=text(found, f"{_META}conversation.id", "session.id", "langfuse.session.id"),
        message_id=message_id or ("" if run_id else _as_uuid(span.trace_id)),
        run_id=run_id,
        event_ms=span.end_ms,
        observations=[used] if used is not None else [],
    )


def _observation(span: Span) -> Observation | None:
    found = span.attributes
    kind = text(found, "langfuse.observation.type")
    if kind not in ("", "generation"):
        return None
    counted = _usage(found)
    counts = counts_of(counted) if counted else None
    if counts is None:
        return None
    return Observation(
        id=span.span_id,
        model=text(
            found,
            "langfuse.observation.model.name",
            "gen_ai.response.model",
            "gen_ai.request.model",
        ),
        input_tokens=counts[0],
        output_tokens=counts[1],
        is_of_node=bool(text(found, f"{_META}node.execution_id")),
    )


def _usage(found: Attributes) -> dict[str, Any]:
    details = found.get("langfuse.observation.usage_details")
    if isinstance(details, str):
        try:
            return msgspec.json.decode(details, type=dict[str, Any])
        except msgspec.MsgspecError:
            return {}
    names = ("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens")
    usage = {name: found.get(f"gen_ai.usage.{name}") for name in names}
    return {name: value for name, value in usage.items() if value is not None}


def _integer(value: Any) -> int | None:
    """JSON writes 64-bit numbers as texts."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    return value if type(value) is int else None


def _as_uuid(trace_id: str) -> str:
    """Dify's ids are UUIDs, which a trace's id is without its dashes."""
    if len(trace_id) != 32:
        return trace_id
    return "-".join((trace_id[:8], trace_id[8:12], trace_id[12:16], trace_id[16:20], trace_id[20:]))


# --- JSON ---


def _spans_of_json(body: Any) -> Iterator[Span]:
    for resource in body.get("resourceSpans") or ():
        for scope in resource.get("scopeSpans") or ():
            for span in scope.get("spans") or ():
                yield Span(
                    str(span.get("traceId", "")).lower(),
                    str(span.get("spanId", "")).lower(),
                    (_integer(span.get("endTimeUnixNano")) or 0) // 1_000_000,
                    {
                        str(one.get("key")): _json_value(one.get("value") or {})
                        for one in span.get("attributes") or ()
                    },
                )


def _json_value(value: Any) -> Any:
    for name in ("stringValue", "boolValue", "doubleValue"):
        if name in value:
            return value[name]
    return value.get("intValue")


# --- protobuf ---


def _spans_of_protobuf(body: bytes) -> Iterator[Span]:
    for resource in _each(body, 1):
        for scope in _each(resource, 2):
            for span in _each(scope, 2):
                yield _span(span)


def _span(data: bytes) -> Span:
    span = Span("", "", 0, {})
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            span.trace_id = value.hex()
        elif number == 2 and isinstance(value, bytes):
            span.span_id = value.hex()
        elif number == 8 and isinstance(value, int):
            span.end_ms = value // 1_000_000
        elif number == 9 and isinstance(value, bytes):
            pair = dict(_fields(value))
            name, held = pair.get(1), pair.get(2, b"")
            if isinstance(name, bytes) and isinstance(held, bytes):
                span.attributes[name.decode()] = _any_value(held)
    return span


def _any_value(data: bytes) -> Any:
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            return value.decode()
        if number in (2, 3):
            return value
    return None


def _each(data: bytes, number: int) -> Iterator[bytes]:
    return (value for found, value in _fields(data) if found == number and isinstance(value, bytes))


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: their numbers and raw values."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
        elif kind == _BYTES:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise IndexError
            yield tag >> 3, data[at : at + length]
            at += length
        elif kind in (_FIXED64, _FIXED32):
            width = 8 if kind == _FIXED64 else 4
            yield tag >> 3, struct.unpack_from("<Q" if width == 8 else "<I", data, at)[0]
            at += width
        else:
            raise IndexError


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise IndexError
