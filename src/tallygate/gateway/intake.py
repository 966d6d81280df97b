"""What takes whole requests and answers them itself: deliveries, and reports of uses."""

from typing import Protocol

from tallygate.core.errors import Refusal
from tallygate.gateway.plan import Plan
from tallygate.wire.front import Connection
from tallygate.wire.head import RequestHead


class Intake(Protocol):
    def begin(self, connection: Connection, head: RequestHead, plan: Plan) -> int:
        """How much of a body is gathered; Refusal of what the head alone rules out."""

    def receive(self, connection: Connection, head: RequestHead, plan: Plan, body: bytes) -> None:
        """A whole request has come."""

    def turn_away(
        self, connection: Connection, head: RequestHead, plan: Plan, refusal: Refusal
    ) -> None:
        """Answer a request that was refused before all of it had come."""
