"""What Dify's tracing sends to Langfuse: batches as its SDK writes them, and OpenTelemetry spans.

One delivery holds one event, as Dify sends them, unless a test puts several into one.
"""

import base64
import json
import struct
from typing import Any

from tests.fakes.dify_answers import MODEL, SMALL_MODEL, Ids

AT = "2026-02-11T08:00:00.000Z"


def basic(public: str, secret: str) -> dict[str, str]:
    token = base64.b64encode(f"{public}:{secret}".encode()).decode()
    return {"authorization": f"Basic {token}"}


def batch(*events: dict[str, Any]) -> dict[str, Any]:
    return {"batch": list(events), "metadata": {"batch_size": len(events), "sdk_name": "python"}}


def event(kind: str, body: dict[str, Any], number: int = 1) -> dict[str, Any]:
    return {"id": f"event-{kind}-{number}", "type": kind, "body": body, "timestamp": AT}


def trace(ids: Ids, user: str, *, is_workflow: bool = False, **more: Any) -> dict[str, Any]:
    """The frame: whose it is and of which conversation."""
    metadata = {"workflow_run_id": ids.run} if is_workflow else {"message_id": ids.message}
    body = {
        "id": ids.run if is_workflow else ids.message,
        "timestamp": AT,
        "name": "workflow" if is_workflow else "message",
        "userId": user,
        "metadata": metadata,
        "tags": ["workflow"] if is_workflow else ["message", "chat"],
        "input": {"message": {}},
    }
    if not is_workflow:
        body["sessionId"] = ids.conversation
    return event("trace-create", body | more)


def generation(
    ids: Ids,
    number: int,
    *,
    model: str | None = MODEL,
    tokens: tuple[int, int] = (1033, 128),
    is_of_node: bool = False,
    trace_id: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": f"generation-{number}",
        "traceId": trace_id or ids.message,
        "name": "llm",
        "startTime": AT,
        "endTime": "2026-02-11T08:00:02.500Z",
        "usage": {
            "input": tokens[0],
            "output": tokens[1],
            "total": sum(tokens),
            "unit": "TOKENS",
            "totalCost": 8e-7,
        },
        "metadata": {"node_execution_id": f"node-{number}"} if is_of_node else {},
    }
    if model:
        body["model"] = model
    return event("generation-create", body | more, number)


def chatflow(ids: Ids, user: str) -> list[dict[str, Any]]:
    """The events of a message that was a workflow: a sum of all, and one for each node."""
    return [
        trace(ids, user, metadata={"workflow_run_id": ids.run}, tags=["message", "workflow"]),
        generation(ids, 1, model=SMALL_MODEL, tokens=(400, 20), is_of_node=True),
        generation(ids, 2, is_of_node=True),
        generation(ids, 3, model=None, tokens=(1433, 148)),
    ]


# --- spans ---


def span_attributes(ids: Ids, user: str, model: str, tokens: tuple[int, int]) -> dict[str, Any]:
    usage = {"input": tokens[0], "output": tokens[1], "total": sum(tokens)}
    return {
        "user.id": user,
        "session.id": ids.conversation,
        "langfuse.internal.is_app_root": False,
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": model,
        "langfuse.observation.usage_details": json.dumps(usage),
        "langfuse.observation.metadata.dify.message.id": ids.message,
        "langfuse.observation.metadata.dify.workflow.run_id": ids.run,
        "langfuse.observation.metadata.dify.node.execution_id": f"node-of-{model}",
    }


def spans_json(spans: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An export request; `spans` by their ids."""
    written = [
        {
            "traceId": "0" * 31 + "1",
            "spanId": span_id,
            "endTimeUnixNano": "1770796802500000000",
            "attributes": [
                {"key": name, "value": _json_value(value)} for name, value in attributes.items()
            ],
        }
        for span_id, attributes in spans.items()
    ]
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": written}]}]}


def _json_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": value}


def spans_protobuf(spans: dict[str, dict[str, Any]]) -> bytes:
    written = b"".join(_field(2, _span(span_id, found)) for span_id, found in spans.items())
    scope = _field(1, _field(1, b"dify")) + written
    resource = _field(1, b"") + _field(2, scope)
    return _field(1, resource)


def _span(span_id: str, attributes: dict[str, Any]) -> bytes:
    ended = b"\x41" + struct.pack("<Q", 1_770_796_802_500_000_000)
    pairs = b"".join(
        _field(9, _field(1, name.encode()) + _field(2, _any_value(value)))
        for name, value in attributes.items()
    )
    named = _field(1, bytes(15) + b"\1") + _field(2, bytes.fromhex(span_id)) + _field(5, b"llm")
    return named + ended + pairs + b"\x85\x01\x00\x01\x00\x00"  # flags: a fixed32


def _any_value(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"\x10" + bytes([value])
    if isinstance(value, int):
        return b"\x18" + _varint(value)
    return _field(1, value.encode())


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])
