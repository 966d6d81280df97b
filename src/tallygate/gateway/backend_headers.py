"""Header fields on their way to a private service and back.

What opens our own doors stays here: credentials, our cookies. What comes back may not touch our
origin either: our cookies cannot be set by a backend, and a page of one runs in a sandbox.
"""

from tallygate.core.routes import HeaderRules
from tallygate.wire.head import HOP_BY_HOP, REWRITTEN, REWRITTEN_PREFIXES, RequestHead

OWN_COOKIES = b"tallygate"  # all names of ours begin so
_COOKIE_PREFIXES = (b"__host-", b"__secure-")
_WITHHELD = frozenset((b"authorization", b"x-admin-token", b"x-api-key", b"x-trial-key"))
# A backend that shares our origin must not sign people out of it, or get hold of all of it.
_NOT_ON_OUR_ORIGIN = (b"clear-site-data", b"service-worker-allowed")
_WATCHED = (b"set-cookie", *_NOT_ON_OUR_ORIGIN)
SANDBOX = b"content-security-policy: sandbox\r\n"

Field = tuple[bytes, bytes]  # lower-case name, and the whole line with its end


def request_lines(head: RequestHead, rules: HeaderRules) -> bytes:
    """The fields that go on to the backend, each with its line end."""
    named = head.named
    fields: list[Field] = []
    for name, value, line in head.fields:
        if name in HOP_BY_HOP or name in REWRITTEN or name in _WITHHELD or name in named:
            continue
        if name.startswith(REWRITTEN_PREFIXES):
            continue
        if name == b"cookie":
            value = without_own_cookies(value)
            line = b"cookie: " + value
            if not value:
                continue
        fields.append((name, line + b"\r\n"))
    return _ruled(fields, rules)


def answer_lines(kept: bytes, rules: HeaderRules, *, is_on_our_origin: bool) -> bytes:
    """The fields that go on to the client; `kept` as the wire has read them."""
    lowered = kept.lower()
    if not rules.are_empty or any(name in lowered for name in _WATCHED):
        fields = [_field(line) for line in kept.split(b"\r\n") if line]
        fields = [one for one in fields if _may_pass(*one, is_on_our_origin=is_on_our_origin)]
        kept = _ruled(fields, rules)
    return kept + SANDBOX if is_on_our_origin else kept


def without_own_cookies(value: bytes) -> bytes:
    pairs = [pair.strip() for pair in value.split(b";")]
    return b"; ".join(pair for pair in pairs if pair and not _is_own(pair))


def _is_own(pair: bytes) -> bool:
    name = pair.partition(b"=")[0].strip().lower()
    for prefix in _COOKIE_PREFIXES:
        name = name.removeprefix(prefix)
    return name.startswith(OWN_COOKIES)


def _field(line: bytes) -> Field:
    return line.partition(b":")[0].lower(), line + b"\r\n"


def _may_pass(name: bytes, line: bytes, *, is_on_our_origin: bool) -> bool:
    if name == b"set-cookie":
        return not _is_own(line.partition(b":")[2])
    return not (is_on_our_origin and name in _NOT_ON_OUR_ORIGIN)


def _ruled(fields: list[Field], rules: HeaderRules) -> bytes:
    if rules.are_empty:
        return b"".join(line for _, line in fields)
    gone = {name.encode() for name in rules.remove}
    renamed = {old.encode(): new.encode() for old, new in rules.rename.items()}
    added = {name.encode(): value.encode("latin-1") for name, value in rules.add.items()}
    lines = []
    for name, line in fields:
        if name in gone:
            continue
        new = renamed.get(name)
        if new is not None:
            name, line = new, new + b":" + line.partition(b":")[2]
        if name not in added:
            lines.append(line)
    lines += [b"%b: %b\r\n" % (name, value) for name, value in added.items()]
    return b"".join(lines)
