"""A kind of credential: how to ask its upstream whether it lives, how to renew it, what counts.

A kind is written as TOML and read strictly. A request is made out of templates in which `{name}`
stands for a variable or for a part of the secret; an answer is judged by rules
(credential_exchange.py).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_NAME = r"^[a-z][a-z0-9_-]{0,63}\Z"
VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})

Json = Any  # a document of somebody else's: any shape, looked at field by field


class BadKind(Exception):
    """One line that says what is wrong with a kind."""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a kind is written in: an unknown word is a mistake, not a wish."""


class Variable(_Strict, frozen=True, kw_only=True):
    """Something that each credential of the kind may set for itself."""

    default: str | None = None
    about: str = ""


class Rule(_Strict, frozen=True, kw_only=True):
    """Holds when everything that it names holds. `status`: numbers, or classes such as "2xx"."""

    status: list[int | str] = []
    json: bool = False
    fields: list[str] = []  # dotted paths into the JSON answer; one of them has to match
    contains: str = ""  # without regard to case
    equals: list[str] = []
    present: bool = False  # a field is there and not empty


class Exchange(_Strict, frozen=True, kw_only=True):
    """One request, and what its answer means."""

    url: str
    method: str = "GET"
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    form: dict[str, str] = {}
    json: dict[str, Json] = {}
    valid: list[Rule] = []
    invalid: list[Rule] = []
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0


class Refresh(Exchange, frozen=True, kw_only=True):
    """A request whose answer holds the new secret: `takes` says where, part by part."""

    takes: dict[str, str]
    expires_in: str = ""  # the path of a number of seconds


class Kind(_Strict, frozen=True, kw_only=True):
    """`given` is the part that a bare line of text means; `used` the one that upstreams want."""

    name: Annotated[str, msgspec.Meta(pattern=_NAME)]
    title: str = ""
    given: str = "secret"
    used: str = "secret"
    parts: list[str] = []  # further parts of the secret
    variables: dict[str, Variable] = {}
    probe: Exchange | None = None
    refresh: Refresh | None = None

    @property
    def all_parts(self) -> frozenset[str]:
        return frozenset({self.given, self.used, *self.parts})


def parse(document: Mapping[str, Json]) -> Kind:
    """A kind out of its TOML; BadKind says in one line what is wrong."""
    try:
        kind = msgspec.convert(document, Kind)
    except msgspec.ValidationError as error:
        raise BadKind(str(error)) from None
    if kind.probe is None and kind.refresh is None:
        raise BadKind("has neither [probe] nor [refresh]: nothing can be asked")
    for name in (*kind.variables, *kind.all_parts):
        if not VARIABLE.match(name):
            raise BadKind(f"{name!r} is no name: use small letters, digits and underscores")
    if both := kind.variables.keys() & kind.all_parts:
        raise BadKind(f"{min(both)!r} is both a variable and a part of the secret")
    for place, exchange in exchanges(kind):
        _check(kind, place, exchange)
    if kind.refresh is not None:
        _check_takes(kind, kind.refresh)
    return kind


def exchanges(kind: Kind) -> Iterator[tuple[str, Exchange]]:
    if kind.probe is not None:
        yield "probe", kind.probe
    if kind.refresh is not None:
        yield "refresh", kind.refresh


def _check(kind: Kind, place: str, exchange: Exchange) -> None:
    if exchange.method not in _METHODS:
        raise BadKind(f"{place}.method {exchange.method!r} is not one of {sorted(_METHODS)}")
    if exchange.form and exchange.json:
        raise BadKind(f"{place} has both form and json: one body is sent")
    for side in ("valid", "invalid"):
        rules: list[Rule] = getattr(exchange, side)
        if not rules:
            raise BadKind(f"{place} has no rule for {side}: add [[{place}.{side}]]")
        for rule in rules:
            _check_rule(f"{place}.{side}", rule)
    known = kind.variables.keys() | kind.all_parts
    for text in _texts(exchange):
        for name in PLACEHOLDER.findall(text):
            if name not in known:
                raise BadKind(f"{place} speaks of {{{name}}}, which is no variable and no part")
    _check_url(kind, place, exchange.url)


def _check_rule(place: str, rule: Rule) -> None:
    if not (rule.status or rule.json or rule.fields):
        raise BadKind(f"a rule of {place} names no condition: it would hold for everything")
    for status in rule.status:
        if isinstance(status, int):
            is_known = 100 <= status <= 599
        else:
            is_known = status[:1] in "12345" and status[1:] == "xx"
        if not is_known:
            raise BadKind(f'{place}: {status!r} is no status; use 401 or "2xx"')
    asks = bool(rule.contains) + bool(rule.equals) + rule.present
    if rule.fields and asks != 1:
        raise BadKind(f"{place}: `fields` needs one of contains, equals, present")
    if asks and not rule.fields:
        raise BadKind(f"{place}: contains, equals and present need `fields`")


def _check_url(kind: Kind, place: str, url: str) -> None:
    """The host is fixed, or comes from one variable that begins the URL."""
    start = PLACEHOLDER.match(url)
    if start is not None:
        if start[1] not in kind.variables:
            raise BadKind(f"{place}.url begins with {{{start[1]}}}, which is no variable")
        return
    if not url.startswith(("http://", "https://")) or PLACEHOLDER.search(urlsplit(url).netloc):
        raise BadKind(f"{place}.url must begin with http://, https:// or one variable")


def _check_takes(kind: Kind, refresh: Refresh) -> None:
    if kind.used not in refresh.takes:
        raise BadKind(f"refresh.takes does not say where the new {kind.used} is")
    for part in refresh.takes:
        if part not in kind.all_parts:
            raise BadKind(f"refresh.takes names {part!r}, which is no part of the secret")


def _texts(exchange: Exchange) -> Iterator[str]:
    yield exchange.url
    for texts in (exchange.headers, exchange.query, exchange.form):
        yield from texts.values()
    yield from _strings(exchange.json)


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
