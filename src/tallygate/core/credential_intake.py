"""Credentials as people and other systems hand them in: read, checked against their kind.

A secret is one line of text, or JSON that names its parts. Files are CSV or JSON lines; the words
of other systems for the same things are understood.
"""

import csv
import datetime
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from tallygate.core.credential_commands import NewCredential
from tallygate.core.credential_exchange import Incomplete, host_for
from tallygate.core.credential_kind import Kind

SECRET_LENGTH_MAX: Final = 16_384
NAME_LENGTH_MAX: Final = 200

_TOKEN: Final = ("token", "access_token", "secret")
_NAME: Final = ("name", "card_name", "card", "名片")
_USER: Final = ("user", "user_name", "username", "用户")
_USED: Final = ("last_used", "last_used_at", "最后使用")


class BadCredential(Exception):
    """One line that says what is wrong with what was handed in; never the secret."""


def parts_of(kind: Kind, text: str) -> dict[str, str]:
    """The parts of a secret: a bare line is the one that is given."""
    text = text.strip()
    if not text:
        raise BadCredential("there is no secret: write it to standard input")
    if len(text) > SECRET_LENGTH_MAX:
        raise BadCredential(f"the secret is longer than {SECRET_LENGTH_MAX} characters")
    if not text.startswith("{"):
        if not text.isprintable():
            raise BadCredential("the secret must be one line without control characters")
        return {kind.given: text}
    try:
        parts = msgspec.json.decode(text, type=dict[str, str])
    except msgspec.MsgspecError:
        raise BadCredential("the secret is no JSON object of texts") from None
    if unknown := parts.keys() - kind.all_parts:
        raise BadCredential(f"{kind.name} has no part {min(unknown)!r} of a secret")
    if not parts.get(kind.given):
        raise BadCredential(f"the secret lacks its part {kind.given!r}")
    return parts


def check_variables(kind: Kind, variables: Mapping[str, str], *, is_complete: bool) -> None:
    """That the kind knows them and, if nothing may be missing, that its host can be named."""
    if unknown := variables.keys() - kind.variables.keys():
        known = ", ".join(sorted(kind.variables)) or "none"
        raise BadCredential(f"{kind.name} has no variable {min(unknown)!r}; it has {known}")
    missing = [
        name
        for name, variable in kind.variables.items()
        if variable.default is None and not variables.get(name)
    ]
    if missing and is_complete:
        raise BadCredential(f"{kind.name} needs the variable {missing[0]}")
    if not missing:
        try:
            host_for(kind, variables)
        except Incomplete as error:
            raise BadCredential(str(error)) from None


def check_name(name: str) -> None:
    if not name.strip() or len(name) > NAME_LENGTH_MAX or not name.isprintable():
        raise BadCredential(f"a name has 1 to {NAME_LENGTH_MAX} printable characters")


def read_rows(text: str, file_name: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """Line by line its fields, or what is wrong with the line."""
    text = text.removeprefix("\ufeff")
    if file_name.lower().endswith(".csv"):
        lines = (f"{line}\n" for line in text.split("\n"))
        for row in (reader := csv.DictReader(lines)):
            row.pop(None, None)  # fields beyond the header's
            yield reader.line_num, row
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError:
            yield number, "no JSON object"


def credential_of(
    kind: Kind, fields: Mapping[str, Any], variables: Mapping[str, str]
) -> NewCredential:
    """What a line of a file says; its own columns named like variables win."""
    token = _first(fields, (*_TOKEN, kind.given))
    if not isinstance(token, str) or not token.strip():
        raise BadCredential("no token")
    own = {
        name: value
        for name in kind.variables
        if isinstance(value := fields.get(name), str) and value
    }
    complete = {**variables, **own}
    check_variables(kind, complete, is_complete=False)
    user = _text(_first(fields, _USER))
    name = _text(_first(fields, _NAME)) or user or "credential"
    check_name(name)
    return NewCredential(
        kind=kind.name,
        name=name,
        user=user,
        variables=complete,
        parts=parts_of(kind, token),
        given=kind.given,
        last_used_ms=_moment(_first(fields, _USED)),
    )


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if fields.get(name) not in (None, "")), None)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()[:NAME_LENGTH_MAX]


def _moment(value: Any) -> int | None:
    """Milliseconds of ISO text (UTC unless it says otherwise), of a number, of Mongo's `$date`."""
    if isinstance(value, dict):
        value = value.get("$date", value.get("$numberLong"))
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        at_ms = int(value if abs(value) >= 10**11 else value * 1000)
        return at_ms if 0 <= at_ms < 10**14 else None
    if not isinstance(value, str):
        return None
    try:
        at = datetime.datetime.fromisoformat(value.strip())
    except ValueError:
        raise BadCredential(f"last_used {value[:40]!r} is no time") from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=datetime.UTC)
    return int(at.timestamp() * 1000)
