"""An answer's head towards its client, and how the body is delimited, whatever did so upstream."""

from typing import TYPE_CHECKING

from tallygate.core.meters import Meter
from tallygate.gateway.admit import limit_fields
from tallygate.gateway.answers import status_line
from tallygate.gateway.bill import balance_field, cost_fields
from tallygate.wire.answer import AnswerHead
from tallygate.wire.head import RequestHead

if TYPE_CHECKING:
    from tallygate.gateway.exchange import MeteredExchange


_HEAD = b"%b%bx-request-id: %b\r\n%b%b%b\r\n"


def whole_head(exchange: "MeteredExchange", head: AnswerHead, length: int, meter: Meter) -> bytes:
    """The head of an answer whose body is all here, so that it can say what it cost."""
    if head.has_no_body or exchange.head.method == b"HEAD":
        return first_head(exchange, head, is_chunked=False)
    fields = limit_fields(exchange.taken, exchange.admitted_ms)
    if exchange.tariff is not None:
        fields += cost_fields(exchange, head.status, meter)
    return _HEAD % (
        status_line(head.status),
        head.kept,
        exchange.request_id.encode(),
        fields,
        b"connection: close\r\n" if exchange.connection.will_close() else b"",
        b"content-length: %d\r\n" % length,
    )


def first_head(exchange: "MeteredExchange", head: AnswerHead, *, is_chunked: bool) -> bytes:
    """The head of an answer whose body is still coming, or which has none."""
    if ends_with_connection(exchange.head, head, is_chunked=is_chunked):
        exchange.connection.end_with_answer()
    fields = limit_fields(exchange.taken, exchange.admitted_ms)
    if exchange.tariff is not None:
        fields += balance_field(exchange)
    return _HEAD % (
        status_line(head.status),
        head.kept,
        exchange.request_id.encode(),
        fields,
        b"connection: close\r\n" if exchange.connection.will_close() else b"",
        framing_field(head, is_chunked=is_chunked),
    )


def must_chunk(request: RequestHead, answer: AnswerHead, *, keeps_length: bool = True) -> bool:
    """Whether the body must be sent chunked; HTTP/1.0 clients get it up to the connection's end."""
    if request.is_http_10 or answer.has_no_body or request.method == b"HEAD":
        return False
    return answer.length < 0 or not keeps_length


def framing_field(answer: AnswerHead, *, is_chunked: bool) -> bytes:
    """The field line that says so."""
    if is_chunked:
        return b"transfer-encoding: chunked\r\n"
    if answer.length >= 0 and answer.status != 204:
        return b"content-length: %d\r\n" % answer.length
    return b""


def ends_with_connection(request: RequestHead, answer: AnswerHead, *, is_chunked: bool) -> bool:
    return (
        not is_chunked
        and answer.length < 0
        and not answer.has_no_body
        and request.method != b"HEAD"
    )


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
