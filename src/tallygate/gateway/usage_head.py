"""What the head of a report of uses says: who sends it, and under which name."""

from tallygate.wire.head import RequestHead

USAGE_LOG_PATH = b"/api/usage-log"


class UsageHead:
    """Read once per head, and kept with its plan."""

    __slots__ = (
        *("has_secret", "is_operator", "message_id", "name", "secret", "signatures"),
        *("timestamp", "tokens"),
    )

    def __init__(self, head: RequestHead) -> None:
        authorization = head.value(b"authorization")
        bearer = authorization[7:].strip() if authorization[:7].lower() == b"bearer " else b""
        self.tokens = tuple(one for one in (bearer, head.value(b"x-admin-token")) if one)
        self.secret = head.value(b"x-usage-secret")
        self.message_id = _text(head.value(b"webhook-id"))
        self.timestamp = _text(head.value(b"webhook-timestamp"))
        self.signatures = _text(head.value(b"webhook-signature"))
        # By which whoever sends it again names it.
        self.name = self.message_id or _text(head.value(b"idempotency-key"))
        self.has_secret: bool | None = None  # once compared
        self.is_operator: bool | None = None

    def __repr__(self) -> str:
        return f"<UsageHead {self.name!r}>"  # its secrets stay unseen


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
