"""How an answer's body is delimited towards a client, whatever delimited it upstream."""

from tallygate.wire.answer import AnswerHead
from tallygate.wire.head import RequestHead


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
