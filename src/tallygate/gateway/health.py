"""/healthz says that the worker lives, /readyz whether store and journal can be used."""

from typing import TYPE_CHECKING

from tallygate.core.errors import Code, Refusal
from tallygate.gateway.answers import json_answer
from tallygate.gateway.plan import Service
from tallygate.wire.front import Connection
from tallygate.wire.head import RequestHead

if TYPE_CHECKING:
    from tallygate.gateway.application import Gateway

_GET_ONLY = Refusal(Code.METHOD_NOT_ALLOWED, "Send this request with GET.", allow="GET, HEAD")


def answer_health(
    gateway: "Gateway", connection: Connection, head: RequestHead, service: Service
) -> None:
    if head.method not in (b"GET", b"HEAD"):
        gateway.refuse(connection, head, _GET_ONLY)
        return
    value, is_well = {"ok": True}, True
    if service is Service.READINESS:
        value = _readiness(gateway)
        is_well = value["ok"]
    connection.write(
        json_answer(
            value,
            status=200 if is_well else 503,
            request_id=gateway.next_request_id(),
            will_close=connection.will_close(),
            is_head=head.method == b"HEAD",
        )
    )
    connection.finish()


def _readiness(gateway: "Gateway") -> dict[str, bool]:
    is_journal_usable = gateway.recorder.has_room(len(gateway.running))
    is_store_usable = gateway.closed is None
    is_ready = is_journal_usable and is_store_usable
    return {"ok": is_ready, "store": is_store_usable, "journal": is_journal_usable}
