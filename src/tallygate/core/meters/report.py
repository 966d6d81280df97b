"""Reads what an upstream says of usage, in any provider's words, whatever else it says.

One decode names all that is needed. If anything in it has the wrong type, a second, lenient
reading saves what is sound; a report of which a count had to be left out is a DoubtfulReport.
"""

import json
import re
from typing import Annotated, Final

import msgspec

from tallygate.core.token_estimate import TOKENS_MAX
from tallygate.core.usage import (
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
    Source,
    Usage,
)

MODEL_LENGTH_MAX: Final = 256
_CANDIDATES_MAX: Final = 16

Tokens = Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)]


class Details(msgspec.Struct, gc=False):
    """Parts of the input or of the output."""

    cached_tokens: Tokens | None = None
    cache_write_tokens: Tokens | None = None  # OpenRouter
    reasoning_tokens: Tokens | None = None


class Report(msgspec.Struct, gc=False):
    """A usage object, in the words of all providers."""

    prompt_tokens: Tokens | None = None
    completion_tokens: Tokens | None = None
    total_tokens: Tokens | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    input_tokens: Tokens | None = None  # Anthropic, OpenAI responses
    output_tokens: Tokens | None = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None
    cache_creation_input_tokens: Tokens | None = None  # Anthropic
    cache_read_input_tokens: Tokens | None = None
    prompt_cache_hit_tokens: Tokens | None = None  # DeepSeek
    cached_tokens: Tokens | None = None  # Moonshot

    @property
    def says_anything(self) -> bool:
        """Whether it counts input or output."""
        return (
            self.prompt_tokens is not None
            or self.completion_tokens is not None
            or self.input_tokens is not None
            or self.output_tokens is not None
        )

    @property
    def input(self) -> int | None:
        """The input as the provider counts it."""
        return self.input_tokens if self.prompt_tokens is None else self.prompt_tokens

    @property
    def output(self) -> int | None:
        """The output as the provider counts it."""
        return self.output_tokens if self.completion_tokens is None else self.completion_tokens


class DoubtfulReport(Report, gc=False):
    """A report of which some count was negative, absurd or no integer, and was left out."""


class Answer(msgspec.Struct, gc=False):
    """What is looked at in an answer, or in one event of it."""

    type: str | None = None
    model: str | None = None
    usage: Report | None = None
    error: msgspec.Raw = msgspec.Raw()
    choices: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()

    @property
    def is_error(self) -> bool:
        """Whether it is an error, or carries one."""
        return bytes(self.error) not in _NO_ERROR or self.type == "error"


_NO_ERROR: Final = frozenset((b"", b"null", b"false", b'""', b"{}"))
_answer = msgspec.json.Decoder(Answer)
_report = msgspec.json.Decoder(Report)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = msgspec.json.Decoder(str)
_any = msgspec.json.Decoder()
_scan = json.JSONDecoder().raw_decode
_USAGE_OBJECT: Final = re.compile(rb'"usage"[ \t\r\n]*:[ \t\r\n]*(?=\{)')
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_answer(payload: bytes | msgspec.Raw) -> Answer | None:
    """The answer in `payload`; None if that is no JSON object."""
    answer: Answer | None
    try:
        answer = _answer.decode(payload)
    except msgspec.ValidationError:
        answer = _read_loosely(payload)
    except _UNREADABLE:
        return None
    if answer is not None and answer.model is not None and len(answer.model) > MODEL_LENGTH_MAX:
        answer.model = None
    return answer


def last_report(tail: bytes) -> Report | None:
    """The last usage object in the end of an answer too long to be kept, or cut short."""
    for match in list(_USAGE_OBJECT.finditer(tail))[: -_CANDIDATES_MAX - 1 : -1]:
        try:
            # Latin-1 keeps one character to a byte, so the end found is a place in `tail`.
            _, end = _scan(tail[match.end() :].decode("latin-1"))
        except (ValueError, RecursionError):
            continue
        report = read_report(tail[match.end() : match.end() + end])
        if report is not None and report.says_anything:
            return report
    return None


# Looked up once: on its class a member costs more than the rest of the line (Python 3.11).
_REPORTED, _ESTIMATED = Source.REPORTED, Source.ESTIMATED


def usage_from(
    report: Report, *, is_cache_apart: bool, input_estimate: int, output_estimate: int
) -> Usage:
    """The counts of a report, with estimates for what it does not say.

    With `is_cache_apart` (Anthropic) the cached input comes on top of the input; with all
    others it is a part of it.
    """
    is_sound = not isinstance(report, DoubtfulReport)
    tokens_in, tokens_out = report.input, report.output
    read, written = _cache_parts(report)
    reasoning = _reasoning_part(report)
    if tokens_in is not None and is_cache_apart:
        tokens_in += read + written
    if tokens_in is not None and tokens_out is not None and reasoning:
        # xAI counts reasoning apart from the completion; only its total tells.
        is_apart = report.total_tokens == tokens_in + tokens_out + reasoning
        tokens_out += reasoning if is_apart else 0
    if tokens_in is None:
        is_sound, tokens_in = False, max(input_estimate, read + written)
    if tokens_out is None:
        is_sound, tokens_out = False, max(output_estimate, reasoning)
    counts = {INPUT_TOKENS: tokens_in, OUTPUT_TOKENS: tokens_out}
    # A part larger than its whole is wrong, and would make a negative bill of the rest.
    if read + written > tokens_in:
        is_sound, read, written = False, 0, 0
    if reasoning > tokens_out:
        is_sound, reasoning = False, 0
    if read:
        counts[CACHE_READ_TOKENS] = read
    if written:
        counts[CACHE_WRITE_TOKENS] = written
    if reasoning:
        counts[REASONING_TOKENS] = reasoning
    return Usage(counts, _REPORTED if is_sound else _ESTIMATED)


def _cache_parts(report: Report) -> tuple[int, int]:
    """Input read from a cache, and input written to one."""
    details = report.prompt_tokens_details or report.input_tokens_details
    read = report.prompt_cache_hit_tokens or report.cached_tokens
    written = report.cache_creation_input_tokens
    if details is not None:
        read = details.cached_tokens or read
        written = details.cache_write_tokens or written
    return read or report.cache_read_input_tokens or 0, written or 0


def _reasoning_part(report: Report) -> int:
    details = report.completion_tokens_details or report.output_tokens_details
    return (details.reasoning_tokens or 0) if details is not None else 0


def _read_loosely(payload: bytes | msgspec.Raw) -> Answer | None:
    """The answer member by member, those of a wrong type left out."""
    try:
        members = _members.decode(payload)
    except _UNREADABLE:
        return None
    nothing = msgspec.Raw()
    return Answer(
        _read_text(members.get("type", nothing)),
        _read_text(members.get("model", nothing)),
        read_report(members.get("usage", nothing)),
        members.get("error", nothing),
        members.get("choices", nothing),
        members.get("response", nothing),
        members.get("message", nothing),
    )


def _read_text(raw: msgspec.Raw) -> str | None:
    try:
        return _text.decode(raw)
    except _UNREADABLE:
        return None


def read_report(raw: bytes | msgspec.Raw) -> Report | None:
    """The report in `raw`; of an unsound one, what is sound; None if it is no object."""
    try:
        return _report.decode(raw)
    except _UNREADABLE:
        pass
    try:
        value = _any.decode(raw)
    except _UNREADABLE:
        return None
    return msgspec.convert(_keep_sound(value), DoubtfulReport) if isinstance(value, dict) else None


def _keep_sound(value: dict[str, object]) -> dict[str, object]:
    kept: dict[str, object] = {}
    for name, item in value.items():
        if name.endswith("_details") and isinstance(item, dict):
            kept[name] = _keep_sound(item)
        elif type(item) is int and 0 <= item <= TOKENS_MAX and not name.endswith("_details"):
            kept[name] = item
    return kept
