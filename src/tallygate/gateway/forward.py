"""Asking upstreams, one after another, until the answer of one may be relayed.

An admitted request is tried at several upstreams at most, and never again once a byte of an answer
has gone to its client. Every attempt has deadlines of its own, and all of them share one.
"""

from typing import TYPE_CHECKING

from tallygate.core.entry import Attempt
from tallygate.core.request import upstream_body
from tallygate.gateway import renewal
from tallygate.gateway.admit import settle
from tallygate.gateway.no_answer import given_up, never_began, withhold
from tallygate.gateway.relay import Relay
from tallygate.gateway.upstreams import Upstream
from tallygate.gateway.verdicts import is_withheld
from tallygate.wire.answer import AnswerHead
from tallygate.wire.upstream import Loss

if TYPE_CHECKING:
    from tallygate.gateway.exchange import MeteredExchange

UNAUTHORIZED = 401


def forward(exchange: "MeteredExchange", now_ms: int) -> None:
    """Ask the next upstream in turn; the caller knows that one is left."""
    gateway = exchange.gateway
    tried = exchange.tried
    is_last = len(tried) + 1 >= gateway.attempts_max
    chosen = gateway.upstreams.choose(exchange.candidates, tried, now_ms, is_last=is_last)
    assert chosen is not None, "asked only while one is left"
    upstream, name = chosen
    exchange.upstream = upstream
    if credential_id := upstream.provider.credential_id:
        gateway.credential_use.used.add(credential_id)
    deadlines = exchange.deadlines = upstream.provider.deadlines
    if not exchange.total_deadline_ms:
        gateway.running.add(exchange)
        exchange.total_deadline_ms = now_ms + deadlines.total_ms
    exchange.attempt_began_ms = now_ms
    exchange.deadline_ms = now_ms + deadlines.connect_ms
    exchange.waiting = upstream.pool.ask(
        exchange,
        _data(exchange, upstream, name),
        exchange.connected,
        is_head_request=exchange.head.method == b"HEAD",
    )


def _data(exchange: "MeteredExchange", upstream: Upstream, name: str) -> bytes:
    """The request as this upstream gets it."""
    if exchange.dify is not None:
        return exchange.dify.data(upstream)
    prefixes = exchange.plan.prefixes
    prefix = prefixes.get(upstream)
    if prefix is None:
        prefix = prefixes[upstream] = upstream.request_prefix(exchange.head)
    body = exchange.body
    if exchange.request is not None:
        body = upstream_body(exchange.request, model=name)
    return b"%b%d\r\n\r\n%b" % (prefix, len(body), body)


def failed(
    exchange: "MeteredExchange", head: AnswerHead, payload: bytes, *, is_complete: bool
) -> None:
    """The answer is about the provider's own trouble: another may answer instead."""
    gateway = exchange.gateway
    now_ms = gateway.now_ms()
    if head.status >= 500:
        exchange.upstream.breaker.failed(now_ms)
    elif head.status == UNAUTHORIZED and (refused := exchange.upstream.provider.credential_id):
        # Whether it is dead its keeper finds out; here it is left alone while others do as well.
        gateway.credential_use.refused.add(refused)
        exchange.upstream.breaker.failed(now_ms)
    if _is_another_left(exchange, head.status, now_ms):
        exchange.abandon_upstream()
        forward(exchange, now_ms)
    elif head.status == UNAUTHORIZED and renewal.begin(exchange, now_ms, forward):
        exchange.abandon_upstream()
    elif is_withheld(head.status):
        withhold(exchange, head.status)
    else:
        Relay(exchange).began(head, payload, is_complete=is_complete)


def lost(exchange: "MeteredExchange", loss: Loss) -> None:
    """No answer began, and none will."""
    now_ms = exchange.gateway.now_ms()
    exchange.upstream.breaker.failed(now_ms)
    if _is_another_left(exchange, 0, now_ms):
        forward(exchange, now_ms)
    else:
        never_began(exchange, loss)


def late(exchange: "MeteredExchange") -> None:
    """The deadline of this attempt has passed."""
    if exchange.upstream_connection is not None:
        exchange.abandon_upstream()
        if exchange.is_given_up_first:
            given_up(exchange)
        else:
            lost(exchange, Loss.TIMED_OUT)
    elif exchange.waiting is not None:
        exchange.upstream.pool.cancel(exchange.waiting)
        exchange.waiting = None
        lost(exchange, Loss.UNREACHABLE)
    elif exchange.renewal is not None:
        exchange.renewal.waited_in_vain()


def client_left(exchange: "MeteredExchange") -> None:
    """Nobody waits for an answer any more: what was not sent yet is taken back."""
    gateway = exchange.gateway
    if exchange.upstream_connection is not None:
        # The upstream works on it: wait a while for what it cost.
        limit_ms = gateway.now_ms() + gateway.client_gone_drain_ms
        if limit_ms < exchange.deadline_ms:
            exchange.is_given_up_first = True
            exchange.deadline_ms = limit_ms
        return
    if exchange.waiting is not None:
        exchange.upstream.pool.cancel(exchange.waiting)
        exchange.waiting = None
    if exchange.renewal is not None:
        exchange.renewal.leave()
    settle(exchange.taken, is_counted=False, tokens=0)
    exchange.taken = []
    gateway.running.discard(exchange)
    if exchange.is_claimed:
        gateway.claims.release(exchange)


def _is_another_left(exchange: "MeteredExchange", status: int, now_ms: int) -> bool:
    """Note the failed attempt; whether another upstream is left and worth a try."""
    gateway = exchange.gateway
    name = exchange.upstream.provider.name
    attempt = Attempt(name, status, now_ms - exchange.attempt_began_ms)
    exchange.attempts = [*(exchange.attempts or ()), attempt]
    exchange.tried = (*exchange.tried, name)
    return (
        not exchange.is_client_gone
        and len(exchange.tried) < min(gateway.attempts_max, len(exchange.candidates))
        and now_ms < exchange.total_deadline_ms
    )
