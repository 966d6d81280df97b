"""Bytes in, usage out: one state machine per provider protocol."""

from typing import Protocol

from tallygate.core.meters.anthropic import MessagesStream
from tallygate.core.meters.body import BodyMeter
from tallygate.core.meters.dify import DifyBody, DifyStream
from tallygate.core.meters.openai import ChunkStream, ResponsesStream
from tallygate.core.request import Dialect
from tallygate.core.usage import Usage


class Meter(Protocol):
    """Stands in an answer's way: counts, and holds back what must wait for the journal."""

    is_terminal: bool  # the terminal event has been seen
    saw_error: bool  # an error came inside an answer that began well
    model: str | None  # as the upstream names it, once it has

    def feed(self, data: bytes) -> bytes:
        """Take decoded body bytes, split anywhere; return what may go to the client now.

        From the terminal event on, everything is held until `take_held`.
        """

    def take_held(self) -> bytes:
        """Everything held, to be sent once the journal is written; later bytes pass unseen."""

    def finish(self) -> None:
        """The body has ended, cleanly or cut; `take_held` then also gives a partial event."""

    def usage(self) -> Usage:
        """What was used, as far as is known by now. May be called at any time."""


def meter_for(
    dialect: Dialect, *, is_stream: bool, strips_usage_chunk: bool, input_tokens_estimate: int
) -> Meter:
    """The meter for an answer in `dialect`."""
    if dialect.is_dify:
        kind = DifyStream if is_stream else DifyBody
        return kind(dialect, input_tokens_estimate)
    if not is_stream:
        return BodyMeter(dialect, input_tokens_estimate)
    match dialect:
        case Dialect.OPENAI_RESPONSES:
            return ResponsesStream(input_tokens_estimate)
        case Dialect.ANTHROPIC_MESSAGES:
            return MessagesStream(input_tokens_estimate)
        case Dialect.OPENAI_CHAT | Dialect.OPENAI_COMPLETIONS | Dialect.OPENAI_EMBEDDINGS:
            return ChunkStream(input_tokens_estimate, strips_usage_chunk=strips_usage_chunk)
    raise AssertionError(dialect)
