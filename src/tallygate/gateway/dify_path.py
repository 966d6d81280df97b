"""Paths under /dify: which app is called, and which call of Dify's API it is.

/dify/v1/chat-messages               the default app; /dify/chat-messages is the same
/dify/apps/helpdesk/v1/chat-messages the app `helpdesk`; here, too, v1 may be left out
"""

from typing import Final, NamedTuple

from tallygate.core.dialect import Dialect
from tallygate.core.dify import DEFAULT_APP
from tallygate.wire.head import RequestHead

_METERED: Final = {
    b"/chat-messages": Dialect.DIFY_CHAT,
    b"/completion-messages": Dialect.DIFY_COMPLETION,
    b"/workflows/run": Dialect.DIFY_WORKFLOW,
}
# What shows or changes all of an app, whoever its users are.
_WHOLE_APP: Final = (b"/apps/", b"/app/", b"/workflows/logs")


class DifyPath(NamedTuple):
    app: str
    path: bytes  # as Dify's API names it, without /v1

    def dialect(self, method: bytes) -> Dialect | None:
        """None: the call is not metered."""
        path = self.path.rstrip(b"/")
        if method != b"POST":
            return None
        if path.startswith(b"/workflows/") and path.endswith(b"/run") and path.count(b"/") == 3:
            return Dialect.DIFY_WORKFLOW  # a version of the workflow by its id
        return _METERED.get(path)

    @property
    def is_about_whole_app(self) -> bool:
        return self.path.startswith(_WHOLE_APP)


def dify_path(head: RequestHead) -> DifyPath | None:
    """None: the path is not under /dify."""
    if not head.path.startswith(b"/dify/"):
        return None
    app, path = DEFAULT_APP, head.path.removeprefix(b"/dify")
    if path.startswith(b"/apps/"):
        name, slash, rest = path.removeprefix(b"/apps/").partition(b"/")
        app, path = name.decode("ascii"), slash + rest
    if path == b"/v1" or path.startswith(b"/v1/"):
        path = path.removeprefix(b"/v1")
    return DifyPath(app, path)
