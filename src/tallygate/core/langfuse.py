"""What Dify exports to Langfuse, as uses of models: the JSON of Langfuse's ingestion API.

A trace is a message or a workflow's run, its id Dify's own id of that. Generations are its uses of
models: one for each node of a workflow that ran one, or one for a whole message. Both forms may
come for one trace. Everything else is taken and means nothing to us.
"""

import datetime
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from tallygate.core.dify_commands import ABSURD, Observation, TraceTold
from tallygate.core.token_estimate import TOKENS_MAX

EVENTS_MAX: Final = 10_000
TEXT_MAX: Final = 256
_GENERATIONS: Final = frozenset(("generation-create", "generation-update"))
_TRACES: Final = frozenset(("trace-create", "trace-update"))

_IN: Final = ("input", "promptTokens", "prompt_tokens", "input_tokens", "inputTokens")
_OUT: Final = ("output", "completionTokens", "completion_tokens", "output_tokens", "outputTokens")
_TOTAL: Final = ("total", "totalTokens", "total_tokens")

Members = dict[str, Any]  # JSON as it comes


class _Event(msgspec.Struct):
    id: str
    type: str
    body: Any = None
    timestamp: Any = None


class _Batch(msgspec.Struct):
    batch: list[Any]


class BadBatch(ValueError):
    """The body is no batch. The message is public."""


class Ingested(msgspec.Struct, frozen=True):
    """What a batch said, and how each of its events is answered: id, status, what is wrong."""

    traces: list[TraceTold]
    successes: list[tuple[str, int]]
    errors: list[tuple[str, int, str]]


_WHOLE: Final = re.compile(r"([0-9]{1,8})(?:\.0+)?", re.ASCII)
_batch = msgspec.json.Decoder(_Batch, float_hook=str)  # 1e400 is a count's trouble, not a batch's


def read_batch(body: bytes) -> Ingested:
    try:
        events = _batch.decode(body).batch
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadBatch('Send {"batch": […]} as JSON.') from None
    if len(events) > EVENTS_MAX:
        raise BadBatch(f"Send at most {EVENTS_MAX} events in a batch.")
    traces: dict[str, TraceTold] = {}
    successes, errors = [], []
    for number, raw in enumerate(events):
        event = _event(raw)
        if event is None:
            named = raw.get("id") if isinstance(raw, dict) else None
            errors.append((str(named or number)[:TEXT_MAX], 400, "An event has an id and a type."))
            continue
        _take(traces, event)
        successes.append((event.id[:TEXT_MAX], 201))
    return Ingested(list(traces.values()), successes, errors)


def _event(raw: Any) -> _Event | None:
    try:
        return msgspec.convert(raw, _Event)
    except msgspec.ValidationError:
        return None


def _take(traces: dict[str, TraceTold], event: _Event) -> None:
    body = event.body
    if not isinstance(body, dict):
        return
    if event.type in _TRACES:
        trace_id = text(body, "id")
        if trace_id:
            _frame(_of(traces, trace_id), body)
    elif event.type in _GENERATIONS:
        trace_id = text(body, "traceId", "trace_id")
        used = _observation(body, event.id)
        if trace_id and used is not None:
            trace = _of(traces, trace_id)
            trace.observations.append(used)
            _identify(trace, metadata_of(body))
            ended = text(body, "endTime", "end_time") or text(body, "startTime", "start_time")
            trace.event_ms = max(trace.event_ms, time_ms(ended) or time_ms(event.timestamp))


def _of(traces: dict[str, TraceTold], trace_id: str) -> TraceTold:
    return traces.setdefault(trace_id, TraceTold(trace_id=trace_id))


def _frame(trace: TraceTold, body: Members) -> None:
    trace.account_id = text(body, "userId", "user_id") or trace.account_id
    trace.conversation_id = text(body, "sessionId", "session_id") or trace.conversation_id
    _identify(trace, metadata_of(body))
    tags = body.get("tags")
    name = text(body, "name")
    is_message = "message" in tags if isinstance(tags, list) else not name.startswith("workflow")
    if is_message:
        trace.message_id = trace.message_id or trace.trace_id
    else:
        trace.run_id = trace.run_id or trace.trace_id
    trace.event_ms = max(trace.event_ms, time_ms(body.get("timestamp")))


def _identify(trace: TraceTold, metadata: Members) -> None:
    """Dify's own ids; the trace's id may be one that whoever called Dify made up."""
    trace.message_id = text(metadata, "message_id") or trace.message_id
    trace.run_id = text(metadata, "workflow_run_id") or trace.run_id
    trace.conversation_id = trace.conversation_id or text(metadata, "conversation_id")


def _observation(body: Members, event_id: str) -> Observation | None:
    """None: it counts no tokens (but letters, as some do), or nothing at all."""
    usage = body.get("usage")
    details = body.get("usageDetails") or body.get("usage_details")
    counted = usage if isinstance(usage, dict) else details
    if not isinstance(counted, dict):
        return None
    if text(counted, "unit").upper() not in ("", "TOKENS"):
        return None
    metadata = metadata_of(body)
    found = counts_of(counted)
    if found is None:
        return None
    return Observation(
        id=text(body, "id") or event_id[:TEXT_MAX],
        model=text(body, "model") or text(metadata, "model_name"),
        input_tokens=found[0],
        output_tokens=found[1],
        is_of_node=bool(text(metadata, "node_execution_id")),
    )


def counts_of(counted: Members) -> tuple[int, int] | None:
    """Input and output; what only a total tells is taken for input, the cheaper of the two.

    Either is ABSURD where something is said that is no count: its event is refused as a whole.
    """
    tokens_in, tokens_out = _count(counted, _IN), _count(counted, _OUT)
    total = _count(counted, _TOTAL)
    if tokens_in is None and tokens_out is None and total is None:
        return None
    tokens_in, tokens_out = tokens_in or 0, tokens_out or 0
    if not tokens_in and not tokens_out:
        tokens_in = total or 0
    return tokens_in, tokens_out


def _count(counted: Members, names: Iterable[str]) -> int | None:
    for name in names:
        value = counted.get(name)
        if value is None:
            continue
        if type(value) is not int:
            found = None if isinstance(value, bool) else _WHOLE.fullmatch(str(value))
            value = ABSURD if found is None else int(found[1])
        return value if 0 <= value <= TOKENS_MAX else ABSURD
    return None


def metadata_of(body: Members) -> Members:
    found = body.get("metadata")
    return found if isinstance(found, dict) else {}


def text(members: Members, *names: str) -> str:
    """The first of these members that is a usable text."""
    for name in names:
        value = members.get(name)
        if isinstance(value, str) and 0 < len(value) <= TEXT_MAX and value.isprintable():
            return value
    return ""


def time_ms(value: Any) -> int:
    """A time as ISO 8601; one without a zone is UTC; 0 if it is none."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d", value):
        return 0
    try:
        moment = datetime.datetime.fromisoformat(value)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0, int(moment.timestamp() * 1000))
