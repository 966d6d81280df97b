"""Reads a metered JSON request and makes the body that goes upstream.

The body is decoded once, into its top-level members as slices of the original bytes. A member
that two parsers could read differently (twice there, or in another spelling) is refused, since
the upstream's parser is not ours. Rewrites are spliced in, so every other byte stays as sent.
"""

from collections.abc import Iterable
from typing import Final, NoReturn

import msgspec

from tallygate.core.dialect import Dialect as Dialect
from tallygate.core.json_members import (
    MEMBERS_MAX,
    NAMES_LENGTH_MAX,
    MembersError,
    duplicates,
    is_surely_unique,
    may_be_wide,
    splice,
)
from tallygate.core.token_estimate import TOKENS_MAX, InvalidUtf8, estimate_tokens

MODEL_LENGTH_MAX: Final = 256
CHOICES_MAX: Final = 128
PROMPTS_MAX: Final = 2_048
_COMMAS_MAX: Final = 250_000

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = msgspec.json.Decoder(str)
_integer = msgspec.json.Decoder(int)
_items = msgspec.json.Decoder(list[msgspec.Raw])

_TOO_WIDE: Final = f"The object is too wide. Send at most {MEMBERS_MAX} members."
# Names of models by their JSON text: few, and the same in each request.
_models: dict[bytes, str] = {}
# Joined names of members: all in lower case, wherever one ends and the next begins.
_plain_names: set[str] = set()
_NAMES_REMEMBERED_MAX: Final = 512
_NAMES_REMEMBERED_LENGTH_MAX: Final = 512
_MODELS_REMEMBERED_MAX: Final = 1024
_PLAIN_DIGITS: Final = 10

_NULL: Final = b"null"
_ASK_USAGE: Final = b'{"include_usage":true}'
_GUARDED: Final = frozenset({"model", "stream", "stream_options", "n"})


# Only what the dialect itself obeys bounds the output; a stranger's member promises nothing.
# By value, and looked up once: hashing or naming an enum's member runs Python code (3.11).
_OUTPUT_BOUNDS: Final[dict[str, tuple[str, ...]]] = {
    Dialect.OPENAI_CHAT.value: ("max_tokens", "max_completion_tokens"),
    Dialect.OPENAI_COMPLETIONS.value: ("max_tokens",),
    Dialect.OPENAI_EMBEDDINGS.value: (),
    Dialect.OPENAI_RESPONSES.value: ("max_output_tokens",),
    Dialect.ANTHROPIC_MESSAGES.value: ("max_tokens",),
}
_HAS_USAGE_CHUNK: Final = frozenset({Dialect.OPENAI_CHAT.value, Dialect.OPENAI_COMPLETIONS.value})
_EMBEDDINGS, _COMPLETIONS = Dialect.OPENAI_EMBEDDINGS, Dialect.OPENAI_COMPLETIONS


class BadRequest(ValueError):
    """The request body cannot be used. The message is public: what is wrong, what to send."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class MeteredRequest(msgspec.Struct, frozen=True, gc=False):
    """What the gateway needs to know of a metered request."""

    dialect: Dialect
    model: str
    is_stream: bool
    wants_usage_chunk: bool  # the client itself set stream_options.include_usage
    max_output_tokens: int | None  # for each choice; None: the client set no bound
    choices: int  # answers generated, in all
    input_tokens_estimate: int
    body: bytes
    members: dict[str, msgspec.Raw]  # the top level, as slices of `body`


def read_request(dialect: Dialect, body: bytes) -> MeteredRequest:
    """Decode `body`; raise BadRequest where it is wrong or could be read in two ways."""
    try:
        estimate = estimate_tokens(body)
    except InvalidUtf8 as error:
        raise BadRequest("The body is not valid UTF-8. Send JSON encoded as UTF-8.") from error
    members = decode_members(body)
    _refuse_ambiguity(body, members)
    is_stream = "stream" in members and _read_bool(members, "stream")
    wants_usage = "stream_options" in members and _read_wants_usage(members)
    has_choices = "n" in members or dialect is _COMPLETIONS
    return MeteredRequest(
        dialect,
        _read_model(members),
        is_stream,
        wants_usage and is_stream and dialect._value_ in _HAS_USAGE_CHUNK,
        _read_max_output(dialect, members),
        _read_choices(dialect, members) if has_choices else 1,
        estimate,
        body,
        members,
    )


def upstream_body(request: MeteredRequest, *, model: str | None) -> bytes:
    """The body for the upstream: under another model's name if given, and asking for usage."""
    edits: dict[str, bytes] = {}
    if model is not None and model != request.model:
        edits["model"] = msgspec.json.encode(model)
    head = b""
    if request.is_stream and request.dialect._value_ in _HAS_USAGE_CHUNK:
        options = request.members.get("stream_options")
        if options is None:
            head = b'{"stream_options":' + _ASK_USAGE + b","
        elif (asking := _asking_options(options)) is not None:
            edits["stream_options"] = asking
    body = splice(request.body, request.members, edits) if edits else request.body
    if head:
        body = head + body[body.index(b"{") + 1 :]
    return body


def _asking_options(raw: msgspec.Raw) -> bytes | None:
    """These stream_options with include_usage true; None if they say so already, clearly.

    Whoever hides a second include_usage in there, in whatever spelling, gets the options
    written anew: an upstream that reads the other one would leave the answer uncounted.
    """
    text = bytes(raw)
    if text == _ASK_USAGE:
        return None
    if text == _NULL:
        return _ASK_USAGE
    options = _members.decode(text)
    is_clear = text.isascii() and b"\\" not in text and text.lower().count(b"include_usage") == 1
    if is_clear and bytes(options.get("include_usage", b"")) == b"true":
        return None
    kept = {k: v for k, v in options.items() if k.casefold() != "include_usage"}
    return msgspec.json.encode({**kept, "include_usage": True})


def decode_members(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        if may_be_wide(body):
            raise BadRequest(_TOO_WIDE)
        return _members.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest("The body is not a JSON object. Send one object: {…}.") from error
    except msgspec.DecodeError as error:
        raise BadRequest(f"The body is not valid JSON ({error}). Send one JSON object.") from error
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not valid UTF-8. Send JSON encoded as UTF-8.") from error
    except RecursionError as error:
        raise BadRequest("The body is nested too deeply. Send fewer levels.") from error


def _refuse_ambiguity(body: bytes, members: dict[str, msgspec.Raw]) -> None:
    """Refuse guarded members that are there twice, or in a spelling some parsers fold."""
    names = "\n".join(members)
    if len(members) > MEMBERS_MAX or len(names) > NAMES_LENGTH_MAX:
        raise BadRequest(_TOO_WIDE)
    if names not in _plain_names:
        if not names.islower() or not names.isascii():
            _refuse_variants(members)
        elif len(names) <= _NAMES_REMEMBERED_LENGTH_MAX:
            if len(_plain_names) >= _NAMES_REMEMBERED_MAX:
                _plain_names.clear()
            _plain_names.add(names)
    if is_surely_unique(body, names, members):
        return
    try:
        for name in duplicates(body, members):
            if _is_guarded(name):
                raise BadRequest(f"{name!r} is there more than once. Send it once.", name)
    except MembersError as error:
        raise BadRequest(str(error)) from error


def _refuse_variants(names: Iterable[str]) -> None:
    for name in names:
        folded = name.casefold()
        if folded != name and _is_guarded(folded):
            raise BadRequest(
                f"Unknown member {name[:64]!r}. Spell it {folded!r}, in lower case.", folded
            )


def _is_guarded(name: str) -> bool:
    return name in _GUARDED or (name.startswith("max_") and name.endswith("tokens"))


def _value(members: dict[str, msgspec.Raw], name: str) -> bytes | None:
    """The member's text; null is as absent."""
    raw = members.get(name)
    if raw is None:
        return None
    text = bytes(raw)
    return None if text == _NULL else text


def _read_model(members: dict[str, msgspec.Raw]) -> str:
    text = _value(members, "model")
    if text is None:
        _refuse("model", "is missing", "the name of a model")
    known = _models.get(text)
    if known is not None:
        return known
    if text[:1] != b'"':
        _refuse("model", "is not a string", "the name of a model")
    model = _text.decode(text) if b"\\" in text else text[1:-1].decode()
    if not model or len(model) > MODEL_LENGTH_MAX or not model.isprintable():
        limit = f"the name of a model: 1 to {MODEL_LENGTH_MAX} printable characters"
        _refuse("model", "is not a model's name", limit)
    if len(_models) >= _MODELS_REMEMBERED_MAX:
        _models.clear()
    _models[text] = model
    return model


def _read_bool(members: dict[str, msgspec.Raw], name: str) -> bool:
    text = _value(members, name)
    if text is None or text == b"false":
        return False
    if text != b"true":
        _refuse(name, "is not a boolean", "true or false")
    return True


def _read_wants_usage(members: dict[str, msgspec.Raw]) -> bool:
    text = _value(members, "stream_options")
    if text is None:
        return False
    if text[:1] != b"{":
        _refuse("stream_options", "is not an object", 'an object, as {"include_usage": true}')
    wants = _value(_members.decode(text), "include_usage")
    if wants not in (None, b"true", b"false"):
        _refuse("stream_options.include_usage", "is not a boolean", "true or false")
    return wants == b"true"


def _read_max_output(dialect: Dialect, members: dict[str, msgspec.Raw]) -> int | None:
    """The largest of the bounds: which of two an upstream obeys is not known."""
    if dialect is _EMBEDDINGS:
        return 0
    found: int | None = None
    for name in _OUTPUT_BOUNDS[dialect._value_]:
        value = _read_integer(members, name, 0, None) if name in members else None
        if value is not None:
            found = max(found or 0, min(value, TOKENS_MAX))
    return found


def _read_choices(dialect: Dialect, members: dict[str, msgspec.Raw]) -> int:
    """How many answers are generated: `n` for each prompt, or `best_of`, if that is more."""
    choices = _read_integer(members, "n", 1, CHOICES_MAX) or 1
    if dialect is _COMPLETIONS:
        choices = max(choices, _read_integer(members, "best_of", 1, CHOICES_MAX) or 1)
        choices *= _count_prompts(_value(members, "prompt"))
    return choices


def _count_prompts(prompt: bytes | None) -> int:
    """A string is one prompt; so is a list of token numbers; any other list is as many."""
    if prompt is None or prompt[:1] != b"[" or prompt[1:].lstrip()[:1] not in (b'"', b"["):
        return 1
    if prompt.count(b",") > _COMMAS_MAX:
        return PROMPTS_MAX  # too long for any model; to look closer would stall the worker
    return len(_items.decode(prompt))


def _read_integer(
    members: dict[str, msgspec.Raw], name: str, least: int, most: int | None
) -> int | None:
    raw = members.get(name)
    if raw is None or (text := bytes(raw)) == _NULL:
        return None
    if text.isdigit() and text[:1] != b"0" and len(text) < _PLAIN_DIGITS:
        value = int(text)  # what JSON and Python read alike
    else:
        try:
            value = _integer.decode(text)
        except msgspec.DecodeError:
            _refuse(name, "is not an integer", _range_text(least, most))
    if value < least or (most is not None and value > most):
        _refuse(name, "is out of range", _range_text(least, most))
    return value


def _range_text(least: int, most: int | None) -> str:
    return f"an integer not below {least}" if most is None else f"an integer, {least} to {most}"


def _refuse(param: str, wrong: str, instead: str) -> NoReturn:
    raise BadRequest(f"{param!r} {wrong}. Send {instead}.", param)
