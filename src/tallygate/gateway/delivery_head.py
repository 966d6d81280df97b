"""What the head of a delivery says: who sends it, for which app and user, under which id."""

import urllib.parse

from tallygate.wire.head import RequestHead

WEBHOOK_PATH = b"/api/dify/webhook"
NAME_LENGTH_MAX = 255


class DeliveryHead:
    """Read once per head, and kept with its plan."""

    __slots__ = (
        *(
            "app",
            "delivery_id",
            "has_key",
            "is_operator",
            "is_readable",
            "message_id",
            "plain_signature",
        ),
        *("signatures", "timestamp", "tokens", "user"),
    )

    def __init__(self, head: RequestHead) -> None:
        query = head.target.partition(b"?")[2].decode("ascii")
        named = dict(urllib.parse.parse_qsl(query)) if query else {}
        self.app = named.get("app") or _text(head.value(b"x-tallygate-app"))
        self.user = named.get("user") or _text(head.value(b"x-tallygate-user"))
        self.message_id = _text(head.value(b"webhook-id"))
        self.delivery_id = self.message_id or _text(head.value(b"idempotency-key"))
        self.timestamp = _text(head.value(b"webhook-timestamp"))
        self.signatures = _text(head.value(b"webhook-signature"))
        self.plain_signature = _text(head.value(b"x-signature"))
        self.tokens = _tokens(head)
        names = (self.app, self.user, self.delivery_id)
        # Names that are kept fit into what keeps them.
        self.is_readable = all(len(one) <= NAME_LENGTH_MAX and "\0" not in one for one in names)
        self.has_key: bool | None = None  # once compared
        self.is_operator: bool | None = None

    def __repr__(self) -> str:
        return f"<DeliveryHead app={self.app!r}>"  # its tokens stay unseen


def _tokens(head: RequestHead) -> tuple[bytes, ...]:
    """Everything that is offered as a key."""
    authorization = head.value(b"authorization")
    bearer = authorization[7:].strip() if authorization[:7].lower() == b"bearer " else b""
    offered = (bearer, head.value(b"x-api-key"), head.value(b"x-admin-token"))
    return tuple(one for one in offered if one)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
