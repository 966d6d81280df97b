"""Reading an answer on after its client has left: what was used is owed, so it is still counted.

Only within bounds: so many bytes, so many seconds (both settings), and the provider is let go.
"""

from typing import TYPE_CHECKING

from tallygate.core.entry import Outcome

if TYPE_CHECKING:
    from tallygate.gateway.relay import Relay


def drain(relay: "Relay", received: int, *, is_over: bool) -> None:
    """Some more of the answer has come, and was metered."""
    relay.drained_bytes += received
    if is_over:
        assert relay.meter is not None
        relay.meter.finish()
        relay.end(b"")
    elif relay.drained_bytes > relay.exchange.gateway.client_gone_drain_bytes_max:
        stop_draining(relay)


def stop_draining(relay: "Relay") -> None:
    """A bound is reached: what was seen until now is counted."""
    assert relay.meter is not None
    relay.exchange.abandon_upstream()
    relay.is_answer_over = True
    relay.meter.finish()
    relay.end(b"", Outcome.CLIENT_GONE)


def drain_until_ms(relay: "Relay") -> int:
    gateway = relay.exchange.gateway
    return gateway.swept_ms + gateway.client_gone_drain_ms
