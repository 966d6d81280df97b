"""`console_host`: the one host under which the console and the API answer, if it is set.

Private services behind routes then live on hosts that our cookies are never sent to, and no page
of theirs shares an origin with ours.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

# Not for people: each is reached by programs, has its own secret or is for this machine only, and
# none reads a cookie.
ELSEWHERE = ("/api/public/", "/internal/", "/metrics")


class ConsoleHost:
    """ASGI middleware; `refused` answers what came to another host."""

    def __init__(self, application: ASGIApp, host: str, refused: ASGIApp) -> None:
        self._application = application
        self._host = host.lower()
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_ours = (
            scope["type"] != "http"
            or scope["path"].startswith(ELSEWHERE)
            or host_of(scope) == self._host
        )
        await (self._application if is_ours else self._refused)(scope, receive, send)


def host_of(scope: Scope) -> str:
    """The host that was asked for, without its port."""
    for name, value in scope["headers"]:
        if name == b"host":
            host: str = value.decode("latin-1").lower()
            name_, colon, port = host.rpartition(":")
            return name_ if colon and port.isdecimal() else host
    return ""
