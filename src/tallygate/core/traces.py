"""What a trace tells of a request: one span of ours, and one below it for each upstream asked.

Made of the journal's entry alone, when it is settled, so a request pays nothing for its trace. Ids
follow from the request's own, so that the same entry never makes two traces; a client that sends a
`traceparent` finds both spans in its own trace. Keys, texts and addresses of people are left out.
https://www.w3.org/TR/trace-context/#traceparent-header
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tallygate.core.entry import Attempt, Entry, Outcome
from tallygate.core.genai_names import Site, Sites, operation_of
from tallygate.core.money import MICROS
from tallygate.core.otlp_spans import Kind, Span
from tallygate.core.usage import (
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
)

_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\Z")
_SAMPLED: Final = 1
_ID_LIMIT: Final = 1 << 64
_MODEL: Final = "gen_ai.request.model"
_USAGE: Final = {
    INPUT_TOKENS: "gen_ai.usage.input_tokens",
    OUTPUT_TOKENS: "gen_ai.usage.output_tokens",
    CACHE_READ_TOKENS: "gen_ai.usage.cache_read.input_tokens",
    CACHE_WRITE_TOKENS: "gen_ai.usage.cache_creation.input_tokens",
    REASONING_TOKENS: "gen_ai.usage.reasoning.output_tokens",
}
_ANSWERED: Final = (Outcome.OK, Outcome.CLIENT_GONE)


class Trace(msgspec.Struct, frozen=True):
    """Where a request's spans belong. `parent_id`: the client's span, if it named one."""

    id: str
    span_id: str
    parent_id: str = ""
    is_sampled_by_client: bool = False

    def is_sampled(self, ratio: float) -> bool:
        """What a client samples stays whole; of the rest, as many as others would of these ids."""
        if self.is_sampled_by_client or ratio >= 1:
            return True
        return int(self.id[16:], 16) < int(ratio * _ID_LIMIT)


def trace_of(entry: Entry, node_uuid: str) -> Trace:
    """Request ids are unique on one node."""
    own = hashlib.sha256(f"{node_uuid}/{entry.request_id}".encode()).hexdigest()
    span_id = own[32:48]
    found = _TRACEPARENT.match(entry.traceparent)
    if found is None or found[1] == "ff" or not int(found[2], 16) or not int(found[3], 16):
        return Trace(own[:32], span_id)
    return Trace(found[2], span_id, found[3], bool(int(found[4], 16) & _SAMPLED))


def spans_of(entry: Entry, trace: Trace, sites: Sites, team_id: str) -> Iterator[Span]:
    """Of a request to models or to a private service."""
    operation = operation_of(entry.route)
    # Paths that are passed through may hold ids: no names for spans.
    route = entry.route if operation or not entry.provider else ""
    yield _own_span(entry, trace, team_id, "POST" if operation else "HTTP", route)
    attempts = entry.attempts or [_only_attempt(entry)]
    start_ms = entry.admitted_ms
    for number, attempt in enumerate(attempts, start=1):
        is_last = number == len(attempts)
        end_ms = start_ms + attempt.duration_ms
        if is_last:
            end_ms = max(start_ms, entry.admitted_ms + entry.duration_ms)
        error = _error_of(entry, attempt, is_last=is_last)
        said = _of_attempt(entry, attempt, operation, sites, is_last=is_last)
        yield Span(
            trace_id=trace.id,
            span_id=f"{(int(trace.span_id, 16) + number) % _ID_LIMIT or 1:016x}",
            parent_id=trace.span_id,
            name=f"{operation} {said.get(_MODEL, '')}".rstrip() if operation else "HTTP",
            kind=Kind.CLIENT,
            start_ms=start_ms,
            end_ms=end_ms,
            attributes={**said, "error.type": error} if error else said,
            error=error,
        )
        start_ms = end_ms


def _own_span(entry: Entry, trace: Trace, team_id: str, method: str, route: str) -> Span:
    said: dict[str, Any] = {
        "http.request.method": "" if method == "HTTP" else method,
        "http.route": route,
        "url.path": "" if route else entry.route,
        "http.response.status_code": entry.status,
        "user.id": entry.user_id,
        "tallygate.request.id": entry.request_id,
        "tallygate.key.id": entry.key_id,
        "tallygate.team.id": team_id,
        "tallygate.provider": entry.provider,
        "tallygate.outcome": entry.outcome.value,
        "tallygate.usage.source": entry.source,
    }
    said = {name: value for name, value in said.items() if value}
    said["tallygate.first_byte_ms"] = entry.first_byte_ms
    if entry.charge is not None:
        said["tallygate.cost.micro_points"] = entry.charge.micros
        said["tallygate.cost.points"] = entry.charge.micros / MICROS
    # Of a server's span only its own failure is an error, not what its client did wrong.
    error = str(entry.status) if entry.status >= 500 else ""
    if entry.outcome is Outcome.CUT:
        error = entry.outcome.value
    return Span(
        trace_id=trace.id,
        span_id=trace.span_id,
        parent_id=trace.parent_id,
        name=f"{method} {route}".rstrip(),
        kind=Kind.SERVER,
        start_ms=entry.admitted_ms,
        end_ms=entry.admitted_ms + max(0, entry.duration_ms),
        attributes={**said, "error.type": error} if error else said,
        error=error,
    )


def _only_attempt(entry: Entry) -> Attempt:
    """Of a request that was answered at its first try."""
    status = 0 if entry.outcome is Outcome.UNREACHABLE else entry.status
    return Attempt(entry.provider, status, entry.duration_ms)


def _of_attempt(
    entry: Entry, attempt: Attempt, operation: str, sites: Sites, *, is_last: bool
) -> dict[str, Any]:
    label, _, credential_id = attempt.provider.partition("#")
    site = sites.provider(label) if label else sites.route(entry.route)
    said: dict[str, Any] = {
        "tallygate.request.id": entry.request_id,
        "tallygate.provider": label,
        "tallygate.credential.id": int(credential_id) if credential_id.isdecimal() else 0,
        "server.address": site.host,
        "server.port": site.port,
        "http.response.status_code": attempt.status,
    }
    said = {name: value for name, value in said.items() if value}
    if operation:
        said |= _of_model(entry, operation, site)
        if is_last:
            said |= {name: entry.counts[key] for key, name in _USAGE.items() if key in entry.counts}
    return said


def _of_model(entry: Entry, operation: str, site: Site) -> dict[str, Any]:
    """`gen_ai.system` is what the provider's name was called before, and many still look for."""
    event = entry.event
    said = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": site.system,
        "gen_ai.system": site.system,
        _MODEL: site.aliases.get(entry.model, entry.model),
        "gen_ai.response.model": event.model if event is not None else "",
        "gen_ai.conversation.id": event.conversation_id if event is not None else "",
    }
    return {name: value for name, value in said.items() if value}


def _error_of(entry: Entry, attempt: Attempt, *, is_last: bool) -> str:
    """What became of an attempt: a status, or a word for there being none."""
    if attempt.status >= 400:
        return str(attempt.status)
    if not is_last:
        return "unreachable"
    if entry.outcome is Outcome.UNREACHABLE:
        return "timeout" if entry.status == 504 else entry.outcome.value
    return "" if entry.outcome in _ANSWERED else entry.outcome.value
