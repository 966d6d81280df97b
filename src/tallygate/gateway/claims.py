"""Idempotency-Key on billable calls: one key, one call, whatever the client repeats.

Only calls that send the header pay for it. The clerk keeps the claims; an answer of up to 1 MB is
kept with its claim and given again to a repeated call, which then costs nothing.
"""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from tallygate.core.claims import Claim, Claimed, Fulfil, Fulfilled
from tallygate.core.errors import Code, Refusal
from tallygate.gateway.answers import status_line

if TYPE_CHECKING:
    from tallygate.gateway.exchange import MeteredExchange

ANSWER_BYTES_MAX = 1 << 20
KEY_LENGTH_MAX = 255
UNTOLD_MAX = 10_000  # ends of calls that are not in the store yet
UNTOLD_BYTES_MAX = 16 << 20  # of their answers; beyond, an end is repeated without its answer


class Claims:
    """The claims of this worker's running calls."""

    def __init__(self, send: Callable[[Claim | Fulfil], bool]) -> None:
        self._send = send
        self._asked: dict[int, MeteredExchange] = {}
        self._id = 0
        self._ended: dict[int, Fulfil] = {}  # by id; the store has not got them yet
        self._ended_bytes = 0

    def claim(self, exchange: "MeteredExchange") -> None:
        """Ask for the key; the exchange goes on, is refused, or is answered with the old answer."""
        key = exchange.plan.idempotency_key
        if len(key) > KEY_LENGTH_MAX:
            exchange.refuse(
                Refusal(
                    Code.BAD_REQUEST, f"Idempotency-Key has at most {KEY_LENGTH_MAX} characters."
                )
            )
            return
        assert exchange.known is not None
        self._id += 1
        payload = hashlib.sha256(exchange.plan.route.encode() + b"\n" + exchange.body).digest()
        asked = Claim(self._id, exchange.known.key.id, key, payload, exchange.request_id)
        if not self._send(asked):
            exchange.store_gone()
            return
        self._asked[self._id] = exchange
        exchange.wait_for_store()

    def answered(self, claimed: Claimed) -> None:
        exchange = self._asked.pop(claimed.id, None)
        if exchange is None:
            return
        if exchange.is_over:
            if claimed.state == "new":
                self.release(exchange)  # nobody is left to run it
            return
        if claimed.state == "new":
            exchange.is_claimed = True
            exchange.admit(None)
        elif claimed.state == "running":
            exchange.refuse(
                Refusal(
                    Code.REQUEST_RUNNING,
                    f"A request with this Idempotency-Key is running: {claimed.request_id}.",
                )
            )
        elif claimed.state == "done":
            self._replay(exchange, claimed)
        elif claimed.state == "conflict":
            exchange.refuse(
                Refusal(
                    Code.IDEMPOTENCY_CONFLICT,
                    "This Idempotency-Key was used with another request before.",
                )
            )
        else:
            exchange.store_gone()

    def _replay(self, exchange: "MeteredExchange", claimed: Claimed) -> None:
        if claimed.answer is None:
            exchange.refuse(
                Refusal(
                    Code.IDEMPOTENCY_CONFLICT,
                    f"This call has been made as {claimed.request_id}; its answer was not kept.",
                )
            )
            return
        exchange.answer_whole(
            b"%bcontent-type: %b\r\nx-request-id: %b\r\nidempotent-replayed: true\r\n"
            b"%bcontent-length: %d\r\n\r\n%b"
            % (
                status_line(claimed.status),
                claimed.content_type.encode(),
                claimed.request_id.encode(),
                b"connection: close\r\n" if exchange.connection.will_close() else b"",
                len(claimed.answer),
                claimed.answer,
            )
        )

    def release(self, exchange: "MeteredExchange") -> None:
        """The call was refused or given back: the next one with this key runs anew."""
        self._fulfil(exchange, is_released=True, status=0, content_type="", answer=None)

    def fulfil(
        self, exchange: "MeteredExchange", status: int, content_type: str, answer: bytes | None
    ) -> None:
        if answer is not None and len(answer) > ANSWER_BYTES_MAX:
            answer = None
        self._fulfil(
            exchange, is_released=False, status=status, content_type=content_type, answer=answer
        )

    def _fulfil(
        self,
        exchange: "MeteredExchange",
        *,
        is_released: bool,
        status: int,
        content_type: str,
        answer: bytes | None,
    ) -> None:
        assert exchange.known is not None
        exchange.is_claimed = False
        self._id += 1
        ended = Fulfil(
            exchange.known.key.id,
            exchange.plan.idempotency_key,
            is_released,
            status,
            content_type,
            answer,
            exchange.request_id,
            self._id,
        )
        self._send(ended)
        self._keep(ended)

    def _keep(self, ended: Fulfil) -> None:
        """Until the store has it: a key whose end is lost with a clerk stays taken for a day."""
        size = len(ended.answer or b"")
        if self._ended_bytes + size > UNTOLD_BYTES_MAX:
            ended.answer, size = None, 0
        if len(self._ended) < UNTOLD_MAX:
            self._ended[ended.id] = ended
            self._ended_bytes += size

    def fulfilled(self, stored: Fulfilled) -> None:
        for number in stored.ids:
            ended = self._ended.pop(number, None)
            if ended is not None:
                self._ended_bytes -= len(ended.answer or b"")

    def reconnected(self) -> None:
        """Tell the new clerk what the store may lack; what none answered is refused."""
        for ended in self._ended.values():
            self._send(ended)
        asked, self._asked = self._asked, {}
        for exchange in asked.values():
            self.release(exchange)  # it may have been claimed all the same
            if not exchange.is_over:
                exchange.store_gone()
