"""One credential's exchange with its upstream: the request filled in, the answer judged.

Rules that prove it invalid are looked at first. Nothing a kind says can make 429, 5xx or silence
prove anything.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit

import msgspec

from tallygate.core.credential import Answer, NoAnswer, Outcome, Verdict
from tallygate.core.credential_kind import PLACEHOLDER, Exchange, Json, Kind, Rule, exchanges

_HEADER_VALUE = re.compile(r"[\x20-\x7e\x80-\U0010ffff]*\Z")


class Incomplete(Exception):
    """One line: this credential lacks what its kind needs."""


class Request(msgspec.Struct, frozen=True):
    """What is to be sent. Its URL may hold the secret, so it is never shown."""

    method: str
    url: str
    headers: dict[str, str]
    query: list[tuple[str, str]]
    form: list[tuple[str, str]]
    json: Json
    timeout_s: float

    def __repr__(self) -> str:
        return f"<Request {self.method} to {host_of(self.url)}>"


def with_defaults(kind: Kind, variables: Mapping[str, str]) -> dict[str, str]:
    """A credential's variables, completed; Incomplete names what is missing."""
    values = {}
    for name, variable in kind.variables.items():
        value = variables.get(name, variable.default)
        if value is None:
            raise Incomplete(f"its variable {name} is not set")
        values[name] = value
    return values


def host_for(kind: Kind, variables: Mapping[str, str]) -> str:
    """Whom its first request goes to, as `host:port`; Incomplete if nobody can be named."""
    _, first = next(exchanges(kind))
    return host_of(_url(first.url, with_defaults(kind, variables), {}))


def host_of(url: str) -> str:
    """`host:port` of an address; Incomplete, without the address in it, if it names none."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
        host = parts.hostname or ""
    except ValueError:
        host, port = "", 0
    if not host or not port:
        raise Incomplete("its address is not http(s)://host/…")
    return f"{host}:{port}"


def request_for(
    exchange: Exchange, variables: Mapping[str, str], parts: Mapping[str, str]
) -> Request:
    """The request, filled in; what a missing optional part would have been is left out."""
    values = {**variables, **parts}
    headers = {name: _filled(text, values) for name, text in exchange.headers.items()}
    for name, value in headers.items():
        if value is not None and not _HEADER_VALUE.match(value):
            raise Incomplete(f"its header {name} would hold a character that none may hold")
    return Request(
        method=exchange.method,
        url=_url(exchange.url, variables, parts),
        headers={name: value for name, value in headers.items() if value is not None},
        query=_pairs(exchange.query, values),
        form=_pairs(exchange.form, values),
        json=_filled_json(exchange.json, values) if exchange.json else None,
        timeout_s=exchange.timeout_s,
    )


def _url(template: str, variables: Mapping[str, str], parts: Mapping[str, str]) -> str:
    """Its first variable goes in as it is, for it brings the host; all others are quoted."""

    def value_of(found: re.Match[str]) -> str:
        if found.start() == 0:
            return variables[found[1]].rstrip("/")
        value = {**variables, **parts}.get(found[1], "")
        return quote(value, safe="")

    return PLACEHOLDER.sub(value_of, template)


def _pairs(texts: Mapping[str, str], values: Mapping[str, str]) -> list[tuple[str, str]]:
    filled = ((name, _filled(text, values)) for name, text in texts.items())
    return [(name, value) for name, value in filled if value is not None]


def _filled(text: str, values: Mapping[str, str]) -> str | None:
    names = PLACEHOLDER.findall(text)
    if any(not values.get(name) for name in names):
        return None
    return PLACEHOLDER.sub(lambda found: values[found[1]], text)


def _filled_json(value: Json, values: Mapping[str, str]) -> Json:
    if isinstance(value, str):
        return _filled(value, values)
    if isinstance(value, dict):
        filled = {name: _filled_json(inner, values) for name, inner in value.items()}
        return {name: inner for name, inner in filled.items() if inner is not None}
    if isinstance(value, list):
        return [_filled_json(inner, values) for inner in value]
    return value


def judge(exchange: Exchange, said: Answer | NoAnswer) -> Verdict:
    """Proof of life, proof of death, or neither."""
    if isinstance(said, NoAnswer):
        return Verdict(Outcome.UNPROVEN, said.reason)
    if said.status == 429 or said.status >= 500:
        return Verdict(Outcome.UNPROVEN, f"HTTP {said.status}")
    document, is_json = _document(said.body)
    for rule in exchange.invalid:
        if (reason := _matched(rule, said.status, document, is_json)) is not None:
            return Verdict(Outcome.INVALID, reason)
    for rule in exchange.valid:
        if _matched(rule, said.status, document, is_json) is not None:
            return Verdict(Outcome.VALID)
    what = "" if is_json else ", not JSON"
    return Verdict(Outcome.UNPROVEN, f"HTTP {said.status}{what}: no rule of its kind says more")


def _document(body: bytes) -> tuple[Json, bool]:
    try:
        return msgspec.json.decode(body), True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, False


def _matched(rule: Rule, status: int, document: Json, is_json: bool) -> str | None:
    """Why the rule holds, or None."""
    if rule.status and not any(_is_status(status, wanted) for wanted in rule.status):
        return None
    if (rule.json or rule.fields) and not is_json:
        return None
    if not rule.fields:
        return f"HTTP {status}"
    return _of_fields(rule, (at(document, path) for path in rule.fields))


def _of_fields(rule: Rule, values: Iterable[Json]) -> str | None:
    for value in values:
        if rule.present and value not in (None, "", [], {}):
            return "present"
        if not isinstance(value, str):
            continue
        if rule.contains and rule.contains.lower() in value.lower():
            return rule.contains
        if value in rule.equals:
            return value
    return None


def _is_status(status: int, wanted: int | str) -> bool:
    return status == wanted or (isinstance(wanted, str) and str(status)[0] == wanted[0])


def at(document: Json, path: str) -> Json:
    """The value at a dotted path, or None."""
    for name in path.split("."):
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


class Renewed(msgspec.Struct, frozen=True):
    """What a refresh brought; `parts` holds only those that are new."""

    parts: dict[str, str]
    expires_in_s: float | None

    def __repr__(self) -> str:
        return f"<Renewed {sorted(self.parts)}>"


def renewed(kind: Kind, answer: Answer) -> Renewed | None:
    """The new secret out of an answer that its kind calls valid; None if it holds none."""
    assert kind.refresh is not None, "only who can be refreshed brings something new"
    document, _ = _document(answer.body)
    found = {part: at(document, path) for part, path in kind.refresh.takes.items()}
    parts = {part: value for part, value in found.items() if isinstance(value, str) and value}
    if kind.used not in parts:
        return None
    seconds = at(document, kind.refresh.expires_in) if kind.refresh.expires_in else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        seconds = None
    return Renewed(parts, float(seconds) if seconds and 0 < seconds < 10**9 else None)
