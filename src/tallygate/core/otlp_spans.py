"""Spans as OTLP writes them in JSON: what goes to a collector, and with which headers.

64-bit numbers are texts there, and ids hexadecimal. Reading what others export is core/otlp.py's.
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import enum
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

TRACES_PATH: Final = "/v1/traces"
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*\Z")

Attributes = Mapping[str, str | int | float]

_encode = msgspec.json.encode


class Kind(enum.IntEnum):
    """Which side of a call a span tells of."""

    SERVER = 2
    CLIENT = 3


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """`error` is why it failed; nothing: it did not."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: Kind
    start_ms: int
    end_ms: int
    attributes: Attributes
    error: str = ""


def encode_spans(spans: Iterable[Span]) -> bytes:
    """Members of a list, to be joined with others by a comma."""
    return b",".join(_encode(_span(span)) for span in spans)


def request_body(resource: Attributes, version: str, spans: Iterable[bytes]) -> bytes:
    """An ExportTraceServiceRequest around what was encoded in several goes."""
    return b'{"resourceSpans":[{"resource":%b,"scopeSpans":[{"scope":%b,"spans":[%b]}]}]}' % (
        _encode({"attributes": _attributes(resource)}),
        _encode({"name": "tallygate", "version": version}),
        b",".join(spans),
    )


def rejected_of(body: bytes) -> int:
    """How many spans of a request the collector says that it did not keep."""
    try:
        answer = msgspec.json.decode(body or b"{}", type=_Answer)
        return int(answer.partial_success.rejected_spans)
    except (msgspec.MsgspecError, ValueError):
        return 0  # a proxy's page, or protobuf: 2xx is all that is known


def traces_url(endpoint: str) -> str:
    """Where spans go; the endpoint is that of all signals, as OpenTelemetry's own settings say."""
    endpoint = endpoint.rstrip("/")
    return endpoint if endpoint.endswith(TRACES_PATH) else endpoint + TRACES_PATH


def parse_headers(text: str) -> dict[str, str]:
    """`name=value,name=value`, values percent-encoded; ValueError, which quotes no value."""
    found: dict[str, str] = {}
    for number, pair in enumerate(text.split(","), start=1):
        if not pair.strip():
            continue
        name, equals, value = (part.strip() for part in pair.partition("="))
        value = urllib.parse.unquote(value)
        if not equals or not _NAME.match(name) or not _VALUE.match(value):
            raise ValueError(f"use name=value,name=value: number {number} is no header")
        found[name.lower()] = value
    return found


class _Partial(msgspec.Struct, frozen=True, rename="camel"):
    rejected_spans: int | str = 0


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    partial_success: _Partial = _Partial()


def _span(span: Span) -> dict[str, Any]:
    said: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": int(span.kind),
        "startTimeUnixNano": f"{span.start_ms}000000",
        "endTimeUnixNano": f"{span.end_ms}000000",
        "attributes": _attributes(span.attributes),
        "status": {"code": 2, "message": span.error} if span.error else {},
    }
    if span.parent_id:
        said["parentSpanId"] = span.parent_id
    return said


def _attributes(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: str | float) -> dict[str, Any]:
    if isinstance(value, str):
        return {"stringValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"doubleValue": value}
