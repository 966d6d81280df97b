"""`POST /api/usage-log`: reports of uses are checked, written to the journal, and answered then.

The clerk and the store are not asked: a burst costs them what settling its rows costs. Reports that
were refused are counted, and a few times a minute the journal is told of them, too.
"""

from typing import TYPE_CHECKING

import msgspec

from tallygate.core.errors import Code, Refusal
from tallygate.core.usage_events import read_uses
from tallygate.core.usage_report import (
    RefusedReports,
    UsageReport,
    delivery_of,
    encoded_in_parts,
)
from tallygate.gateway.answers import Shape, refusal_answer, status_line
from tallygate.gateway.gathered import Gathered
from tallygate.gateway.plan import Plan
from tallygate.gateway.usage_door import UsageDoor
from tallygate.gateway.usage_head import UsageHead
from tallygate.journal.frames import HEAD_BYTES, PAYLOAD_BYTES_MAX
from tallygate.journal.writer import JournalFailed
from tallygate.wire.front import NEVER, Connection
from tallygate.wire.head import RequestHead

if TYPE_CHECKING:
    from tallygate.gateway.application import Gateway

TELL_REFUSED_MS = 1_000
NAME_LENGTH_MAX = 255

_POST_ONLY = Refusal(Code.METHOD_NOT_ALLOWED, "Send reports with POST.", allow="POST")
_LONG_NAME = Refusal(Code.BAD_REQUEST, f"`webhook-id` has at most {NAME_LENGTH_MAX} characters")
_NO_ROOM = Refusal(Code.JOURNAL_UNAVAILABLE, "The journal takes no more at the moment; try again.")
_LOGGED = msgspec.json.encode({"status": "logged"})


class Reporting(Gathered):
    """A report that waits to be on record."""

    __slots__ = ("_connection", "_log", "_request_id", "deadline_ms", "is_client_gone")

    def __init__(self, log: "UsageLog", connection: Connection, request_id: str) -> None:
        self._log = log
        self._connection = connection
        self._request_id = request_id
        self.deadline_ms = NEVER
        self.is_client_gone = False

    def __repr__(self) -> str:
        return f"<Reporting {self._request_id}>"

    def journaled(self) -> None:
        self._log.gateway.running.discard(self)
        if self.is_client_gone:
            return
        connection = self._connection
        connection.write(
            b"%bcontent-type: application/json\r\nx-request-id: %b\r\n%b"
            b"content-length: %d\r\n\r\n%b"
            % (
                status_line(200),
                self._request_id.encode(),
                b"connection: close\r\n" if connection.will_close() else b"",
                len(_LOGGED),
                _LOGGED,
            )
        )
        connection.finish()

    def journal_failed(self) -> None:
        self._log.gateway.running.discard(self)
        if not self.is_client_gone:
            self._log.answer_refusal(self._connection, self._request_id, _NO_ROOM)

    def client_gone(self) -> None:
        self.is_client_gone = True

    def deadline_passed(self) -> None:
        raise AssertionError("the journal answers, or fails")

    def client_slow(self) -> None: ...

    def client_ready(self) -> None: ...


class Telling:
    """Nobody waits for what the journal is told of refused reports."""

    def journaled(self) -> None: ...

    def journal_failed(self) -> None: ...


class UsageLog:
    """The reports of this worker."""

    def __init__(
        self, gateway: "Gateway", door: UsageDoor, *, bytes_max: int, events_max: int
    ) -> None:
        self.gateway = gateway
        self._door = door
        self._bytes_max = bytes_max
        self._events_max = events_max
        self._untold: dict[Code, RefusedReports] = {}
        self._told_ms = 0
        self.reports = 0
        self.events = 0
        self.refused = 0

    def begin(self, connection: Connection, head: RequestHead, plan: Plan) -> int:
        """How much of a body is gathered; who may not report is told before that."""
        self._door.check_head(_said(head, plan), self._address(connection, plan), self._now_s())
        return self._bytes_max

    def receive(self, connection: Connection, head: RequestHead, plan: Plan, body: bytes) -> None:
        """A whole report has come."""
        gateway = self.gateway
        request_id = gateway.next_request_id()
        try:
            said = _said(head, plan)
            address, wall_ms = self._address(connection, plan), gateway.wall_ms()
            self._door.check(said, address, body, self._now_s(), wall_ms // 1000)
            if len(body) > self._bytes_max:
                raise Refusal(Code.TOO_LARGE, f"Send at most {self._bytes_max} bytes at once.")
            delivery = delivery_of(said.name, body) if said.name else b""
            uses = read_uses(body, wall_ms, self._events_max, delivery)
            report = UsageReport(request_id, 0, uses)
            waiting = Reporting(self, connection, request_id)
            self._record(waiting, encoded_in_parts(report, PAYLOAD_BYTES_MAX))
        except Refusal as refusal:
            self.turn_away(connection, head, plan, refusal, request_id)
            return
        connection.handler = waiting
        gateway.running.add(waiting)
        self.reports += 1
        self.events += len(uses)

    def turn_away(
        self,
        connection: Connection,
        head: RequestHead,
        plan: Plan,
        refusal: Refusal,
        request_id: str = "",
    ) -> None:
        """Say no, and remember that it was said."""
        now_ms, address = self.gateway.wall_ms(), self._address(connection, plan)
        before = self._untold.get(refusal.code)
        count = 1 if before is None else before.count + 1
        self._untold[refusal.code] = RefusedReports(refusal.code.value, count, now_ms, address)
        request_id = request_id or self.gateway.next_request_id()
        is_head = head.method == b"HEAD"
        self.answer_refusal(connection, request_id, refusal, is_head=is_head)

    def answer_refusal(
        self, connection: Connection, request_id: str, refusal: Refusal, *, is_head: bool = False
    ) -> None:
        self.refused += 1
        self.gateway.counters.refused(refusal.code)
        connection.write(
            refusal_answer(
                Shape.OWN,
                refusal,
                request_id=request_id,
                retry_after_s=1 if refusal.status in (429, 503) else None,
                will_close=connection.will_close(),
                is_head=is_head,
            )
        )
        connection.finish()

    def sweep(self, now_ms: int) -> None:
        """Tell of what was refused, now and then: how often nobody but us decides."""
        if self._untold and now_ms - self._told_ms >= TELL_REFUSED_MS:
            self._told_ms = now_ms
            self.tell_refused()

    def tell_refused(self) -> None:
        if not self._untold:
            return
        request_id = self.gateway.next_request_id()
        report = UsageReport(request_id, 0, [], list(self._untold.values()))
        try:
            self._record(Telling(), encoded_in_parts(report, PAYLOAD_BYTES_MAX))
        except Refusal:
            return  # told when there is room again
        self._untold = {}

    # --- inside ---

    def _record(self, waiting: Reporting | Telling, payloads: list[bytes]) -> None:
        gateway = self.gateway
        size = sum(map(len, payloads)) + len(payloads) * HEAD_BYTES
        if not gateway.recorder.make_room(len(gateway.running), size):
            raise _NO_ROOM
        try:
            gateway.recorder.record_parts(waiting, payloads)
        except JournalFailed:
            raise _NO_ROOM from None

    def _address(self, connection: Connection, plan: Plan) -> str:
        return self.gateway.address_of(connection, plan)

    def _now_s(self) -> float:
        return self.gateway.now_ms() / 1000


def _said(head: RequestHead, plan: Plan) -> UsageHead:
    if head.method != b"POST":
        raise _POST_ONLY
    said = plan.report
    assert said is not None, "the plan of a report has read its head"
    if len(said.name) > NAME_LENGTH_MAX:
        raise _LONG_NAME
    return said
