"""What a request used and, if a wallet pays for it, what it cost.

Answers are charged, and requests that their client left while a provider worked on them; what an
upstream refused or failed costs nothing. An answer that says nothing of its usage, and of which
nothing can be counted, is charged by the estimate of its input: the provider has read it.
"""

from typing import TYPE_CHECKING

from tallygate.core.entry import Charge
from tallygate.core.meters import Meter
from tallygate.core.money import format_points
from tallygate.core.usage import INPUT_TOKENS, OUTPUT_TOKENS, Source
from tallygate.gateway.lease import UNLEASED

if TYPE_CHECKING:
    from tallygate.gateway.exchange import MeteredExchange

_ESTIMATED = Source.ESTIMATED.value


class Bill:
    """Made once per request that a wallet pays for. `charge` None: it costs nothing."""

    __slots__ = ("charge", "counts", "source")

    def __init__(self, counts: dict[str, int], source: str, charge: Charge | None) -> None:
        self.counts = counts
        self.source = source
        self.charge = charge


def measure(
    exchange: "MeteredExchange", status: int, meter: Meter | None
) -> tuple[dict[str, int], str]:
    """Counts, and how far to trust them."""
    if 200 <= status < 300:
        if meter is not None:
            usage = meter.usage()
            return usage.counts, usage.source._value_
    elif not status and exchange.request is not None:  # the client left, nobody waited longer
        return _estimate(exchange.request.input_tokens_estimate), _ESTIMATED
    return {}, ""


def bill_of(exchange: "MeteredExchange", status: int, meter: Meter | None) -> Bill:
    """The bill of a request whose answer has ended; whoever asks first has it made."""
    if exchange.bill is not None:
        return exchange.bill
    tariff, known = exchange.tariff, exchange.known
    assert tariff is not None and known is not None
    counts, source = measure(exchange, status, meter)
    charge = None
    if 200 <= status < 300 or not status:
        if not counts and exchange.request is not None:
            counts, source = _estimate(exchange.request.input_tokens_estimate), _ESTIMATED
        charge = tariff.charge(known.key.wallet_id, counts)
    exchange.bill = Bill(counts, source, charge)
    return exchange.bill


def _estimate(input_tokens: int) -> dict[str, int]:
    return {INPUT_TOKENS: input_tokens, OUTPUT_TOKENS: 0}


def cost_fields(exchange: "MeteredExchange", status: int, meter: Meter | None) -> bytes:
    """What a whole answer says: its cost, and the balance once that is paid."""
    if exchange.tariff is None:
        return b""
    charge = bill_of(exchange, status, meter).charge
    micros = 0 if charge is None else charge.micros
    cost = b"x-tallygate-cost: %b\r\n" % format_points(micros).encode()
    return cost + balance_field(exchange, micros)


def balance_field(exchange: "MeteredExchange", unsettled_micros: int = 0) -> bytes:
    """The balance as far as this worker knows; a stream says it at its start."""
    if exchange.tariff is None:
        return b""
    lease = exchange.taken[-1][1]  # a wallet is taken from last
    if lease is None or lease.lease_id == UNLEASED:
        return b""  # a free model: nobody had to look
    points = format_points(lease.balance_micros() - unsettled_micros)
    return b"x-tallygate-balance: %b\r\n" % points.encode()
