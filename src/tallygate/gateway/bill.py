"""What a request used and, if a wallet pays for it or a limit in points counts it, what it cost.

Answers are charged, and requests that their client left while a provider worked on them; what an
upstream refused or failed costs nothing. An answer that says nothing of its usage, and of which
nothing can be counted, is charged by the estimate of its input: the provider has read it.
"""

from typing import TYPE_CHECKING

import msgspec

from tallygate.core.entry import Charge, DifyUse
from tallygate.core.errors import Refusal
from tallygate.core.meters import Meter
from tallygate.core.money import MICROS
from tallygate.core.usage import INPUT_TOKENS, OUTPUT_TOKENS, Source
from tallygate.gateway.lease import UNLEASED

if TYPE_CHECKING:
    from tallygate.gateway.exchange import MeteredExchange

_ESTIMATED = Source.ESTIMATED.value
_COST_AND_BALANCE = b"x-tallygate-cost: %b\r\nx-tallygate-balance: %b\r\n"


class Bill(msgspec.Struct, gc=False):
    """Made once per request that is priced. `charge` None: no wallet pays for it."""

    counts: dict[str, int]
    source: str
    micros: int
    charge: Charge | None


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
    """Make the bill of a request whose answer has ended; whoever needs it first does so."""
    tariff, known = exchange.tariff, exchange.known
    assert tariff is not None and known is not None
    counts, source = measure(exchange, status, meter)
    charge, micros = None, 0
    if 200 <= status < 300 or not status:
        if not counts and exchange.request is not None:
            counts, source = _estimate(exchange.request.input_tokens_estimate), _ESTIMATED
        micros, of_output = tariff.cost(counts)
        if wallet_id := known.key.wallet_id:
            charge = Charge(wallet_id, tariff.price_id, tariff.rate_id, micros, of_output)
    bill = exchange.bill = Bill(counts, source, micros, charge)
    return bill


def micros_of_event(exchange: "MeteredExchange", event: DifyUse) -> int:
    """What limits in points count of an app's answer; whoever settles it charges its wallet.

    What has no price counts as what was set aside for it, so that it is not without any limit.
    """
    gateway, known, micros = exchange.gateway, exchange.known, 0
    if known is None or not known.is_priced or not event.is_charged:
        return 0
    try:
        for model, counts in event.parts:
            micros += gateway.prices.tariff(model, model, exchange.admitted_ms).cost(counts)[0]
    except Refusal:
        return max(micros, exchange.micros_at_most)
    return micros


def _estimate(input_tokens: int) -> dict[str, int]:
    return {INPUT_TOKENS: input_tokens, OUTPUT_TOKENS: 0}


def cost_fields(exchange: "MeteredExchange", status: int, meter: Meter | None) -> bytes:
    """What a whole answer says: its cost, and the balance once that is paid."""
    if exchange.tariff is None:
        return b""
    micros = (exchange.bill or bill_of(exchange, status, meter)).micros
    lease = exchange.taken[-1][1]  # a wallet is taken from last
    # A free model: nobody had to look. Or there is no wallet, only a limit in points.
    if lease is None or lease.lease_id == UNLEASED or lease.limit_id > 0:
        return b"x-tallygate-cost: %b\r\n" % points(micros)
    balance = lease.available + lease.reserved - lease.used - micros
    if balance < 0:
        return _COST_AND_BALANCE % (points(micros), points(balance))
    whole, rest = divmod(micros, MICROS)  # as `points` does: two calls are a share of a request
    cost = (b"%d.%06d" % (whole, rest)).rstrip(b"0") if rest else b"%d" % whole
    whole, rest = divmod(balance, MICROS)
    left = (b"%d.%06d" % (whole, rest)).rstrip(b"0") if rest else b"%d" % whole
    return _COST_AND_BALANCE % (cost, left)


def balance_field(exchange: "MeteredExchange") -> bytes:
    """The balance as far as this worker knows; a stream says it at its start."""
    lease = exchange.taken[-1][1] if exchange.tariff is not None else None
    if lease is None or lease.lease_id == UNLEASED or lease.limit_id > 0:
        return b""
    return b"x-tallygate-balance: %b\r\n" % points(lease.balance_micros())


def points(micros: int) -> bytes:
    """As money.format_points writes them, for there are two in each answer."""
    if micros < 0:
        return b"-" + points(-micros)
    whole, rest = divmod(micros, MICROS)
    return (b"%d.%06d" % (whole, rest)).rstrip(b"0") if rest else b"%d" % whole
