"""What a client gets when no answer is relayed to it: nobody answered, or what came is withheld.

The provider may have worked on the request all the same, so each of these ends goes on the books
like any other, and its units are given back or spent as the status says.
"""

from typing import TYPE_CHECKING

from tallygate.core.entry import Outcome
from tallygate.core.errors import Refusal
from tallygate.gateway.admit import limit_fields
from tallygate.gateway.answers import refusal_answer
from tallygate.gateway.bill import cost_fields
from tallygate.gateway.relay import Relay
from tallygate.gateway.verdicts import refusal_of_loss, refusal_of_withheld
from tallygate.wire.upstream import Loss

if TYPE_CHECKING:
    from tallygate.gateway.exchange import MeteredExchange


def never_began(exchange: "MeteredExchange", loss: Loss) -> None:
    """No upstream answered."""
    refusal = refusal_of_loss(loss)
    _end(Relay(exchange), exchange, refusal, refusal.status, Outcome.UNREACHABLE)


def given_up(exchange: "MeteredExchange") -> None:
    """The client had left, and no more is waited for: the provider has read the request."""
    relay = Relay(exchange)
    relay.is_answer_over = True
    relay.end(b"", Outcome.CLIENT_GONE)


def withhold(exchange: "MeteredExchange", refused_with: int) -> None:
    """An answer that is about the operator's own account: its status goes on, its text not."""
    exchange.abandon_upstream()
    relay = Relay(exchange)
    relay.first_byte_ms = exchange.gateway.wall_ms()
    refusal, status = refusal_of_withheld(refused_with)
    _end(relay, exchange, refusal, status, Outcome.UPSTREAM_ERROR)


def _end(
    relay: Relay, exchange: "MeteredExchange", refusal: Refusal, status: int, outcome: Outcome
) -> None:
    relay.status = status
    relay.is_answer_over = True
    relay.end(
        refusal_answer(
            exchange.plan.shape,
            refusal,
            request_id=exchange.request_id,
            status=status,
            fields=limit_fields(exchange.taken, exchange.gateway.wall_ms())
            + cost_fields(exchange, status, None),
            will_close=exchange.connection.will_close(),
            is_head=exchange.head.method == b"HEAD",
        ),
        outcome,
    )
