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
_SCALAR_LENGTH_MAX: Final = 64 * 1024

_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_NAME: Final = re.compile(rb'[ \t\n\r]*("[^"\\]*(?:\\.[^"\\]*)*")[ \t\n\r]*:[ \t\n\r]*', re.DOTALL)
_SCALAR: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[-+.0-9a-zA-Z]+', re.DOTALL)
_ENDS: Final = frozenset((b",", b"}", b" ", b"\t", b"\n", b"\r"))
_name = msgspec.json.Decoder(str)


class MembersError(ValueError):
    """The object has too many members, or a large one of them twice. The message is public."""


def tight_length(names: str, members: dict[str, msgspec.Raw]) -> int:
    """The least bytes in which an object of these members can be written.

    A text of exactly this length has no space left for a member that came twice, so most
    requests need no walk (JavaScript, Go and the official SDKs write no blanks).
    `names` are the members' names joined with one character between them.
    """
    quotes_colons_commas_braces = 4 * len(members) + 1
    values = sum(map(len, members.values()))
    return len(names) - (len(members) - 1) + values + quotes_colons_commas_braces


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
