"""What is wrong with a route as an operator has written it: a sentence, or nothing."""

import re
import urllib.parse
from collections.abc import Mapping, Sequence

from tallygate.core.paths import is_ambiguous, is_own
from tallygate.core.routes import METHODS

PATH_LENGTH_MAX = 512
URL_LENGTH_MAX = 2048
RULES_MAX = 64
VALUE_LENGTH_MAX = 4096
POOL_LENGTH_MAX = 200

_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+\Z|/\Z")
_URL = re.compile(r"[\x21-\x7e]+\Z")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z")
_ADDRESS = re.compile(r"\[[0-9a-f:.]+\]\Z")
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}\Z")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
_PARAMETER = re.compile(r"[A-Za-z0-9._~-]{1,128}\Z")
SECRET = "{secret}"  # noqa: S105 - where a secret goes, not one
CREDENTIAL_HEADER = f"authorization: Bearer {SECRET}"  # where nothing else is said
# Framing and hops are the gateway's own business; a rule that broke them would break the request.
_NOT_FOR_RULES = frozenset(
    {
        *("connection", "content-length", "expect", "host", "http2-settings", "keep-alive"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "via"),
        *("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"),
    }
)


def flaw_of_path(path: str, host: str) -> str:
    if len(path) > PATH_LENGTH_MAX:
        return f"has at most {PATH_LENGTH_MAX} characters"
    if not _PATH.match(path) or is_ambiguous(path):
        return "is like /api/test: no query, no dot-segments, nothing encoded, no `//`"
    if not host and is_own(path):
        return f"{path} belongs to Tallygate itself; give the route a `host` of its own"
    return ""


def flaw_of_rewrite(rewrite: str, *, strips: bool) -> str:
    if not rewrite:
        return ""
    if strips:
        return "and `strip_prefix` exclude each other"
    if len(rewrite) > PATH_LENGTH_MAX or not _PATH.match(rewrite) or is_ambiguous(rewrite):
        return "is the path that takes the place of the route's own, like /v2"
    return ""


def flaw_of_host(host: str) -> str:
    if not host or (len(host) <= 253 and (_HOST.match(host) or _ADDRESS.match(host))):
        return ""
    return "is a name like tools.example.com, in lower case and without a port"


def flaw_of_backend(url: str) -> str:
    """Its text is never repeated: it may hold a password."""
    if len(url) > URL_LENGTH_MAX or not _URL.match(url):
        return "is not a URL"
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host or port == 0:
        return "is like http://10.0.0.7:9000/base"
    if parts.username is not None or parts.password is not None:
        return "holds credentials; add them as a request header instead"
    if "?" in url or "#" in url:
        return "has neither query nor fragment"
    if parts.path and is_ambiguous(parts.path):
        return "has a path that servers may read differently"
    return ""


def flaw_of_methods(methods: Sequence[str]) -> str:
    unknown = [method for method in methods if method not in METHODS]
    if unknown or len(set(methods)) != len(methods):
        return f"names some of {', '.join(METHODS)}, each once; none means all"
    return ""


def flaw_of_pool(name: str) -> str:
    if len(name) <= POOL_LENGTH_MAX and (not name or name.isprintable()):
        return ""
    return f"is the name of a pool, of at most {POOL_LENGTH_MAX} characters"


def flaw_of_credential_header(header: str) -> str:
    """Of a line such as `authorization: Bearer {secret}`; nothing is said of an empty one."""
    if not header:
        return ""
    name, value = header_of(header)
    if not _HEADER.match(name):
        return "is like `authorization: Bearer {secret}`"
    if name in _NOT_FOR_RULES:
        return f"may not be {name}"
    if value.count(SECRET) != 1 or not _VALUE.match(value):
        return f"holds {SECRET} once, where the secret goes"
    return ""


def header_of(line: str) -> tuple[str, str]:
    """A header's name in lower case, and its value."""
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def flaw_of_credential_query(name: str) -> str:
    return "" if not name or _PARAMETER.match(name) else "is a name like access_token"


def fits_header(secret: str) -> bool:
    """Whether a secret may stand in a header's value without ending it."""
    return _VALUE.match(secret) is not None


def flaw_of_rules(
    remove: Sequence[str], rename: Mapping[str, str], add: Mapping[str, str | None]
) -> str:
    """Names are compared in lower case, so they come so."""
    names = [*remove, *rename, *rename.values(), *add]
    if len(names) > RULES_MAX:
        return f"hold at most {RULES_MAX} names"
    for name in names:
        if not _HEADER.match(name):
            return "hold the name of a header, like x-team"
        if name in _NOT_FOR_RULES:
            return f"may not touch {name}"
    for value in add.values():
        if value is not None and (len(value) > VALUE_LENGTH_MAX or not _VALUE.match(value)):
            return f"hold values of at most {VALUE_LENGTH_MAX} characters on one line"
    return ""
