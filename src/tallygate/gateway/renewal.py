"""A metered call that waits, once, for the credential that its provider has refused to be renewed.

Until then it is what it was: let through, not answered, its units and its money set aside.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tallygate.core.provider import Provider
from tallygate.gateway.no_answer import withhold

if TYPE_CHECKING:
    from tallygate.gateway.exchange import MeteredExchange

UNAUTHORIZED = 401


Forward = Callable[["MeteredExchange", int], None]


def begin(exchange: "MeteredExchange", now_ms: int, forward: Forward) -> bool:
    """Whether the call waits, or is about to be sent again; else its refusal is its answer."""
    gateway, refused = exchange.gateway, exchange.upstream.provider
    if exchange.renewal is not None or exchange.is_client_gone or not refused.is_renewable:
        return False
    if len(exchange.tried) >= gateway.attempts_max or now_ms >= exchange.total_deadline_ms:
        return False
    is_renewed = gateway.upstreams.renewed(refused) is not None
    if not is_renewed and not gateway.renewals.is_hopeful(refused.credential_id, now_ms):
        return False
    waits = exchange.renewal = Renewal(exchange, refused, forward)
    if is_renewed:  # while this call was on its way
        gateway.schedule(waits.renewed)
    else:
        gateway.renewals.wait(refused.credential_id, refused.secret, waits)
    exchange.deadline_ms = min(now_ms + gateway.renewals.wait_ms, exchange.total_deadline_ms)
    return True


class Renewal:
    """Its wait; when that is over, the memory of it."""

    __slots__ = ("_attempts", "_exchange", "_forward", "_has_asked", "_is_over", "_refused")

    def __init__(self, exchange: "MeteredExchange", refused: Provider, forward: Forward) -> None:
        self._exchange = exchange
        self._refused = refused
        self._forward = forward
        self._attempts = len(exchange.attempts or ())
        self._is_over = False
        self._has_asked = False

    def __repr__(self) -> str:
        return f"<Renewal {self._refused.name} over={self._is_over}>"

    @property
    def is_answered(self) -> bool:
        """The provider was asked again, and has not failed again."""
        return self._has_asked and len(self._exchange.attempts or ()) == self._attempts

    def renewed(self) -> None:
        exchange = self._exchange
        found = exchange.gateway.upstreams.renewed(self._refused)
        if self._is_over or found is None:
            return
        self.leave()
        names = {one.credential_id: name for one, name in exchange.candidates}
        exchange.candidates = ((found, names[found.credential_id]),)
        exchange.tried = ()
        self._has_asked = True
        self._forward(exchange, exchange.gateway.now_ms())

    def renewal_failed(self) -> None:
        if not self._is_over:
            self.leave()
            withhold(self._exchange, UNAUTHORIZED)

    def waited_in_vain(self) -> None:
        if not self._is_over:
            gateway = self._exchange.gateway
            gateway.renewals.was_in_vain(self._refused.credential_id, gateway.now_ms())
            self.renewal_failed()

    def leave(self) -> None:
        self._is_over = True
        self._exchange.gateway.renewals.leave(self._refused.credential_id, self)
