"""The top level of a JSON object, member by member as it is written: where, and what twice.

msgspec has decoded the text already, so it is valid JSON and `members` holds the last value of
each name, in the order in which the names first came. Here that is laid over the text.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

MEMBERS_MAX: Final = 1_024  # no API has a tenth of this; it bounds a walk in Python
NAMES_LENGTH_MAX: Final = 64 * 1024
_REWRITTEN_LENGTH_MAX: Final = 64 * 1024
_SCALAR_LENGTH_MAX: Final = 64 * 1024

_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_NAME: Final = re.compile(rb'[ \t\n\r]*("[^"\\]*(?:\\.[^"\\]*)*")[ \t\n\r]*:[ \t\n\r]*', re.DOTALL)
_SCALAR: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[-+.0-9a-zA-Z]+', re.DOTALL)
_ENDS: Final = frozenset((b",", b"}", b" ", b"\t", b"\n", b"\r"))
_BULK_MIN: Final = 1024 * 1024
_COLONS_MAX: Final = 250_000
_name = msgspec.json.Decoder(str)


class _Bulk(msgspec.Struct):
    """The members that are large in large requests."""

    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    system: msgspec.Raw = msgspec.Raw()
    instructions: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    documents: msgspec.Raw = msgspec.Raw()


_bulk = msgspec.json.Decoder(_Bulk)


class MembersError(ValueError):
    """The object has too many members, or a large one of them twice. The message is public."""


def may_be_wide(body: bytes) -> bool:
    """Whether there may be so many members that to decode them all would stall the worker.

    32 MB can hold four million. Each has a colon; of a body with many, those within the
    members known to be large are taken off.
    """
    if len(body) <= _BULK_MIN or body.count(b":") <= _COLONS_MAX:
        return False
    bulk = _bulk.decode(body)
    return len(body) - sum(len(getattr(bulk, name)) for name in bulk.__struct_fields__) > _BULK_MIN


def is_surely_unique(body: bytes, names: str, members: dict[str, msgspec.Raw]) -> bool:
    """Whether the text has no room for a member that comes twice: a cheap test, no search.

    It has none if the members alone, written without blanks, are as long as the body (so
    write JavaScript, Go and the official SDKs), or if they are the body when written as
    Python's json.dumps does. `names` are the members' names, joined by one character.
    """
    count = len(members)
    quotes_colons_commas_braces = 4 * count + 1
    values = sum(map(len, members.values()))
    blanks = len(body) - (len(names) - (count - 1)) - values - quotes_colons_commas_braces
    if not blanks:
        return True
    if blanks != 2 * count - 1 or len(body) > _REWRITTEN_LENGTH_MAX:
        return False
    written = b", ".join([b'"%b": %b' % (name.encode(), raw) for name, raw in members.items()])
    return b"{%b}" % written == body


def duplicates(body: bytes, members: dict[str, msgspec.Raw]) -> Iterator[str]:
    """The names that come more than once, however they are spelled with escapes."""
    seen: set[str] = set()
    for name, _, _ in spans(body, members):
        if name in seen:
            yield name
        seen.add(name)


def spans(body: bytes, members: dict[str, msgspec.Raw]) -> Iterator[tuple[str, int, int]]:
    """Each member's name and where its value starts and ends, in the order written."""
    at = body.index(b"{") + 1
    for _ in range(MEMBERS_MAX):
        match = _NAME.match(body, at)
        if match is None:
            return
        name = _name.decode(match[1])
        start = match.end()
        end = _value_end(body, start, members[name])
        if end is None:
            raise MembersError(f"{name[:64]!r} is there more than once. Send it once.")
        yield name, start, end
        after = _SPACE.match(body, end)
        assert after is not None
        at = after.end() + 1
        if body[at - 1 : at] != b",":
            return
    raise MembersError(f"The object has more than {MEMBERS_MAX} members. Send fewer.")


def splice(body: bytes, members: dict[str, msgspec.Raw], edits: dict[str, bytes]) -> bytes:
    """Put new values in place of old ones. What is edited is there, and once."""
    pieces: list[bytes] = []
    copied = 0
    missing = len(edits)
    for name, start, end in spans(body, members):
        edit = edits.get(name)
        if edit is not None:
            pieces += (body[copied:start], edit)
            copied = end
            missing -= 1
            if not missing:
                break
    assert not missing, "a member that was read has gone"
    pieces.append(body[copied:])
    return b"".join(pieces)


def _value_end(body: bytes, start: int, last: msgspec.Raw) -> int | None:
    """Where the value at `start` ends: it is `last`, unless its name comes again later.

    No JSON value is the beginning of another one, numbers excepted, and a number ends where
    none of its characters follow. Of a name that comes again, small plain values are stepped
    over (a hand-made template may set the temperature twice); None for all others.
    """
    end = start + len(last)
    if body.startswith(bytes(last), start) and body[end : end + 1] in _ENDS:
        return end
    match = _SCALAR.match(body, start, start + _SCALAR_LENGTH_MAX)
    return match.end() if match else None
