"""Calls of Dify's API on behalf of a user: whoever the client says it is, is replaced.

Dify believes what `user` says, in the query, in JSON or in a form. So there must be one, ours, in
each place where a call may have one; what two parsers could read differently is refused.
"""

import re
import urllib.parse
from typing import Final

import msgspec

from tallygate.core.dialect import Dialect
from tallygate.core.json_members import (
    MEMBERS_MAX,
    NAMES_LENGTH_MAX,
    MembersError,
    duplicates,
    is_surely_unique,
    splice,
)
from tallygate.core.request import BadRequest, MeteredRequest, decode_members
from tallygate.core.token_estimate import InvalidUtf8, estimate_tokens

JSON: Final = b"application/json"
_FORM: Final = b"application/x-www-form-urlencoded"
_MULTIPART: Final = b"multipart/form-data"
_GUARDED: Final = frozenset(("user", "response_mode", "trace_id"))
# A trace's id that a client makes up could be another one's message (core/langfuse.py).
_REPLACED: Final = ("user", "trace_id")
_FIELDS_MAX: Final = 1000

_BOUNDARY: Final = re.compile(rb';[ \t]*boundary=(?:"([^"\\]{1,70})"|([^;," \t]{1,70}))', re.I)
_NAME: Final = re.compile(rb';[ \t]*name=(?:"((?:[^"\\\r\n]|\\.)*)"|([^;" \t\r\n]*))', re.I)


def read_call(dialect: Dialect, body: bytes, model: str) -> MeteredRequest:
    """A call that is metered. BadRequest where it is wrong or could be read in two ways."""
    members = _members(body)
    try:
        estimate = estimate_tokens(body)
    except InvalidUtf8 as error:
        raise BadRequest("The body is not valid UTF-8. Send JSON encoded as UTF-8.") from error
    mode = bytes(members.get("response_mode", b"null"))
    if mode not in (b"null", b'"blocking"', b'"streaming"', b'""'):
        raise BadRequest("'response_mode' is 'blocking' or 'streaming'.", "response_mode")
    is_stream = mode == b'"streaming"'
    # Nothing is ever stripped from these streams.
    return MeteredRequest(dialect, model, is_stream, True, None, 1, estimate, body, members)


def with_user(body: bytes, content_type: bytes, user: str) -> tuple[bytes, bytes]:
    """The body with this user, and its Content-Type."""
    kind = content_type.partition(b";")[0].strip().lower()
    if kind == _MULTIPART:
        return _in_parts(body, content_type, user), content_type
    if kind == _FORM:
        return in_query(body, user), content_type
    if not body:
        return msgspec.json.encode({"user": user}), JSON
    return in_json(body, _members(body), user), JSON


def in_json(body: bytes, members: dict[str, msgspec.Raw], user: str) -> bytes:
    """A JSON object whose members have been read."""
    written = msgspec.json.encode(user)
    edits = {}
    if "user" in members:
        edits["user"] = written
    if "trace_id" in members:
        edits["trace_id"] = b"null"
    if edits:
        body = splice(body, members, edits)
    if "user" not in members:
        at = body.index(b"{") + 1
        body = b'%b"user":%b%b%b' % (body[:at], written, b"," if members else b"", body[at:])
    return body


def in_query(query: bytes, user: str) -> bytes:
    """A query, or a form that is written like one; what it says twice is all dropped."""
    pairs = [pair for pair in query.split(b"&") if pair]
    if len(pairs) > _FIELDS_MAX:
        raise BadRequest(f"Send at most {_FIELDS_MAX} fields.")
    kept = [pair for pair in pairs if _field_name(pair) not in _REPLACED]
    return b"&".join([*kept, b"user=" + urllib.parse.quote(user, safe="").encode()])


def _field_name(pair: bytes) -> str:
    name = pair.partition(b"=")[0].replace(b"+", b" ")
    return urllib.parse.unquote_to_bytes(name).decode("utf-8", "replace")


def _members(body: bytes) -> dict[str, msgspec.Raw]:
    members = decode_members(body)
    names = "\n".join(members)
    if len(members) > MEMBERS_MAX or len(names) > NAMES_LENGTH_MAX:
        raise BadRequest(f"The object is too wide. Send at most {MEMBERS_MAX} members.")
    if is_surely_unique(body, names, members):
        return members
    try:
        for name in duplicates(body, members):
            if name in _GUARDED:
                raise BadRequest(f"{name!r} is there more than once. Send it once.", name)
    except MembersError as error:
        raise BadRequest(str(error)) from error
    return members


def _in_parts(body: bytes, content_type: bytes, user: str) -> bytes:
    """A multipart form, whose other parts stay as they are to the byte."""
    found = _BOUNDARY.findall(content_type)
    if len(found) != 1 or content_type.lower().count(b"boundary") != 1:
        raise BadRequest("Send multipart/form-data with one boundary.")
    delimiter = b"--" + (found[0][0] or found[0][1])
    first, *parts = (b"\r\n" + body).split(b"\r\n" + delimiter)
    last = parts.pop() if parts else b""
    # A delimiter after a bare line feed is one to some parsers, and none to others.
    is_clear = body.count(delimiter) == len(parts) + 1 and not first and last[:2] == b"--"
    if not is_clear or len(parts) > _FIELDS_MAX:
        raise BadRequest("The multipart body is not well-formed. Separate its parts by CRLF.")
    kept = [part for part in parts if _part_name(part) not in _REPLACED]
    own = b'\r\nContent-Disposition: form-data; name="user"\r\n\r\n' + user.encode()
    if delimiter in own:
        raise BadRequest("Send multipart/form-data with another boundary.")
    return b"".join([*(delimiter + part + b"\r\n" for part in (own, *kept)), delimiter + last])


def _part_name(part: bytes) -> str:
    """The name of a form's field; BadRequest where it could be read in two ways."""
    head, end, _ = part.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    named = [line for line in lines if line.lower().startswith(b"content-disposition:")]
    is_folded = any(line[:1] in (b" ", b"\t") or b"\n" in line or b"\r" in line for line in lines)
    if not end or lines[0] or is_folded or len(named) != 1 or b"name*" in named[0].lower():
        raise BadRequest("A part of the multipart body has no clear name.")
    names = _NAME.findall(named[0].replace(b"filename=", b"file="))
    if len(names) != 1:
        raise BadRequest("A part of the multipart body has no clear name.")
    quoted, bare = names[0]
    return re.sub(rb"\\(.)", rb"\1", quoted or bare).decode("utf-8", "replace")
