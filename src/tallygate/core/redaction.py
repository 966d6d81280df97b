"""What is kept of a stranger's payload: all of it but its secrets.

A refused delivery is kept to be inspected and sent in again, and nothing that it is charged by is
ever a secret. Members whose names say that they hold one are emptied, and what has the shape of a
key or a token is cut out wherever it stands.
"""

import re
from typing import Final

_MASK: Final = "[removed]"
_MEMBER: Final = re.compile(
    r'("[^"\\]{0,40}(?:secret|passw|api[_-]?key|apikey|authorization|cookie|credential'
    r'|access[_-]?token|refresh[_-]?token|id[_-]?token|private[_-]?key)[^"\\]{0,40}"\s*:\s*)'
    r'"(?:[^"\\]|\\.)*"',
    re.IGNORECASE,
)
_BEARER: Final = re.compile(r"\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_KEY: Final = re.compile(r"\b(sk|pk|app|roc|ntk|whsec|xox[abp]|ghp)([_-])[A-Za-z0-9+/=_-]{16,}")


def redacted(payload: bytes) -> str:
    """The payload as a text without secrets; what is no text of it shows as such."""
    text = payload.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    text = _MEMBER.sub(rf'\1"{_MASK}"', text)
    text = _BEARER.sub(rf"\1{_MASK}", text)
    return _KEY.sub(rf"\1\2{_MASK}", text)
