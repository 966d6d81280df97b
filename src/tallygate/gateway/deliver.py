"""Deliveries to `/api/dify/webhook`: checked here, charged by the clerk, answered once that stands.

A worker tells its clerk of each delivery in one message and waits a bounded time. While the clerk
or the store is away nothing is kept: the answer is 503, and whoever sent it delivers again.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tallygate.core.deliveries import Deliver, Delivered, DeliveryAnswer
from tallygate.core.errors import Code, Refusal
from tallygate.gateway.answers import Shape, refusal_answer, status_line
from tallygate.gateway.delivery_door import DeliveryDoor
from tallygate.gateway.delivery_head import DeliveryHead
from tallygate.gateway.plan import Plan
from tallygate.wire.front import Connection
from tallygate.wire.head import RequestHead

if TYPE_CHECKING:
    from tallygate.gateway.application import Gateway

ANSWER_MS = 15_000
WAITING_MAX = 10_000

_AWAY = Refusal(Code.STORE_UNAVAILABLE, "the store does not answer; nothing was kept, try again")
_LATE = Refusal(Code.STORE_UNAVAILABLE, "no answer came in time; send it again, it counts once")
_FULL = Refusal(Code.OVERLOADED, "too many deliveries are waiting; try again")
_POST_ONLY = Refusal(Code.METHOD_NOT_ALLOWED, "Send deliveries with POST.", allow="POST")
_LONG_NAMES = Refusal(
    Code.BAD_REQUEST, "app, user and the delivery's id have at most 255 characters each"
)


class Delivering:
    """One delivery that waits for its answer."""

    __slots__ = ("_deliveries", "_id", "connection", "deadline_ms", "request_id")

    def __init__(
        self,
        deliveries: "Deliveries",
        connection: Connection,
        request_id: str,
        number: int,
        deadline_ms: int,
    ) -> None:
        self._deliveries = deliveries
        self._id = number
        self.connection = connection
        self.request_id = request_id
        self.deadline_ms = deadline_ms

    def __repr__(self) -> str:
        return f"<Delivering {self.request_id}>"

    def client_gone(self) -> None:
        self._deliveries.forget(self._id, self)

    def deadline_passed(self) -> None:
        self._deliveries.forget(self._id, self)
        self._deliveries.refuse(self.connection, self.request_id, _LATE)

    def client_slow(self) -> None: ...

    def client_ready(self) -> None: ...

    def body_received(self, data: bytes) -> None:
        raise AssertionError("deliveries are gathered")

    def body_ended(self) -> None:
        raise AssertionError("deliveries are gathered")


class Deliveries:
    """The deliveries of this worker."""

    def __init__(
        self,
        gateway: "Gateway",
        send: Callable[[Deliver], bool],
        door: DeliveryDoor,
        bytes_max: int,
    ) -> None:
        self.gateway = gateway
        self.bytes_max = bytes_max
        self._send = send
        self._door = door
        self._asked: dict[int, Delivering] = {}
        self._number = 0

    def begin(self, connection: Connection, head: RequestHead, plan: Plan) -> int:
        """How much of a body is gathered; who may not deliver is told before that."""
        now_s = self.gateway.now_ms() / 1000
        self._door.check_key(self._said(head, plan), self._address(connection, plan), now_s)
        return self.bytes_max

    def receive(self, connection: Connection, head: RequestHead, plan: Plan, body: bytes) -> None:
        """A whole delivery has come."""
        gateway = self.gateway
        request_id = gateway.next_request_id()
        try:
            said = self._said(head, plan)
            address, now_ms = self._address(connection, plan), gateway.now_ms()
            self._door.check_key(said, address, now_ms / 1000)
            if len(body) > self.bytes_max:
                raise Refusal(Code.TOO_LARGE, "The body is larger than allowed.")
            self._door.check_signature(said, address, body, now_ms, gateway.clock_offset_ms)
            self._ship(connection, request_id, said, body, now_ms)
        except Refusal as refusal:
            if refusal.code is Code.TOO_LARGE:
                self.too_large(connection, plan, refusal)
            else:
                self.refuse(connection, request_id, refusal)

    def turn_away(
        self, connection: Connection, head: RequestHead, plan: Plan, refusal: Refusal
    ) -> None:
        """Refused before all of it had come."""
        if refusal.code is Code.TOO_LARGE:
            self.too_large(connection, plan, refusal)
        else:
            self.refuse(connection, self.gateway.next_request_id(), refusal)

    def too_large(self, connection: Connection, plan: Plan, refusal: Refusal) -> None:
        """Refused, and the clerk notes that something was lost if its sender is known."""
        request_id = self.gateway.next_request_id()
        said = plan.delivery
        if said is not None and self._door.is_known(said):
            note = b'{"too_large": true, "bytes_max": %d}' % self.bytes_max
            self._number += 1
            names = (said.app, said.user, said.delivery_id)
            now_ms, code = self.gateway.now_ms(), refusal.code.value
            self._send(Deliver(self._number, request_id, *names, now_ms, note, code))
        self.refuse(connection, request_id, refusal)

    def answered(self, delivered: Delivered) -> None:
        for answer in delivered.answers:
            delivering = self._asked.pop(answer.id, None)
            if delivering is not None:
                self._answer(delivering, answer)

    def reconnected(self) -> None:
        """The last clerk did not answer these; whether they count shows when they come again."""
        asked, self._asked = self._asked, {}
        for delivering in asked.values():
            self.gateway.running.discard(delivering)
            self.refuse(delivering.connection, delivering.request_id, _AWAY)

    def forget(self, number: int, delivering: Delivering) -> None:
        self._asked.pop(number, None)
        self.gateway.running.discard(delivering)

    def refuse(self, connection: Connection, request_id: str, refusal: Refusal) -> None:
        self.gateway.counters.refused(refusal.code)
        connection.write(
            refusal_answer(
                Shape.WEBHOOK,
                refusal,
                request_id=request_id,
                retry_after_s=1 if refusal.status in (429, 503) else None,
                will_close=connection.will_close(),
            )
        )
        connection.finish()

    # --- inside ---

    def _said(self, head: RequestHead, plan: Plan) -> DeliveryHead:
        if head.method != b"POST":
            raise _POST_ONLY
        said = plan.delivery
        assert said is not None, "the plan of a webhook has read its head"
        if not said.is_readable:
            raise _LONG_NAMES
        return said

    def _address(self, connection: Connection, plan: Plan) -> str:
        return self.gateway.address_of(connection, plan)

    def _ship(
        self, connection: Connection, request_id: str, said: DeliveryHead, body: bytes, now_ms: int
    ) -> None:
        gateway = self.gateway
        if gateway.closed is not None:
            raise _AWAY
        if len(self._asked) >= WAITING_MAX:
            raise _FULL
        self._number += 1
        number = self._number
        names = (said.app, said.user, said.delivery_id)
        if not self._send(Deliver(number, request_id, *names, now_ms, body)):
            raise _AWAY
        delivering = Delivering(self, connection, request_id, number, now_ms + ANSWER_MS)
        self._asked[number] = connection.handler = delivering
        gateway.running.add(delivering)

    def _answer(self, delivering: Delivering, answer: DeliveryAnswer) -> None:
        self.gateway.running.discard(delivering)
        connection = delivering.connection
        connection.write(
            b"%bcontent-type: application/json\r\nx-request-id: %b\r\n%b%b"
            b"content-length: %d\r\n\r\n%b"
            % (
                status_line(answer.status),
                delivering.request_id.encode(),
                b"retry-after: 1\r\n" if answer.status == 503 else b"",
                b"connection: close\r\n" if connection.will_close() else b"",
                len(answer.body),
                answer.body,
            )
        )
        connection.finish()
