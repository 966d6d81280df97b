"""Admission: every counter of a request is checked, then all are taken, or none.

The verdict is synchronous; «not yet» parks the request on the lease that is short.
"""

from tallygate.core.entry import Use
from tallygate.core.errors import Code, Refusal
from tallygate.core.limits import AMOUNT_MAX
from tallygate.core.windows import FOREVER_S, Span
from tallygate.gateway.answers import duration
from tallygate.gateway.known_keys import KnownKey
from tallygate.gateway.lease import Allowance, Lease, Parked
from tallygate.gateway.lease_book import LeaseBook

_FOREVER_MS = FOREVER_S * 1000
_SHORT_SPANS = frozenset((Span.MINUTE, Span.HOUR))


# What a request holds of one lease (or, unlimited, only tallies): with the window, and how much.
# A plain tuple: there are three of them in each request.
Taken = tuple[Allowance, Lease | None, int, int]


class OverLimit(Exception):
    """The request must be refused: this allowance has nothing left."""

    def __init__(self, allowance: Allowance, lease: Lease) -> None:
        super().__init__()
        self.allowance = allowance
        self.lease = lease


def admit(
    book: LeaseBook,
    parked: Parked,
    known: KnownKey,
    tokens: int,
    now_ms: int,
    concluded: Lease | None,
) -> list[Taken] | None:
    """What was taken, or None: parked, `parked.units_answered` follows. OverLimit: refuse.

    `concluded` is the lease that the clerk has just answered for: what is short there stays so.
    """
    short: tuple[Lease, int] | None = None
    plan: list[Taken] = []
    for allowance in known.allowances:
        if now_ms >= allowance.end_ms:
            book.roll(allowance, now_ms)
        lease = allowance.lease
        if lease is None:
            plan.append((allowance, None, allowance.window_s, 0))
            continue
        need = tokens if allowance.is_tokens else 1
        if lease.available < need:
            if lease is concluded or lease.is_final:
                if lease.available < 1 or not allowance.is_tokens:
                    raise OverLimit(allowance, lease)
                need = lease.available  # a last request may take what is left
            elif short is None:
                short = (lease, need)
            else:
                book.ask(lease, need)
        plan.append((allowance, lease, allowance.window_s, need))
    if short is not None:
        book.park(parked, *short)
        return None
    for _, lease, _, need in plan:
        if lease is not None:
            book.take(lease, need, now_ms)
    return plan


def settle(taken: list[Taken], *, is_counted: bool, tokens: int) -> list[Use]:
    """The request has ended: give back or spend what it held, and say so for the journal."""
    uses = []
    for allowance, lease, window_s, reserved in taken:
        spent = 0
        if is_counted:
            spent = tokens if allowance.is_tokens else 1
        if lease is None:
            uses.append(Use(0, allowance.limit.id, window_s, 0, 0, spent))
        else:
            lease.settle(reserved, spent)
            uses.append(
                Use(lease.lease_id, lease.limit_id, window_s, lease.generation, reserved, spent)
            )
    return uses


def over_limit_refusal(over: OverLimit, now_ms: int) -> tuple[Refusal, int | None, bytes]:
    """The refusal, after how many seconds to try again, and the fields that say the limits."""
    limit, lease = over.allowance.limit, over.lease
    unit = "requests" if limit.dimension == "requests" else "tokens"
    wait_s = None if lease.end_ms >= _FOREVER_MS else -(-(lease.end_ms - now_ms) // 1000)
    code = Code.RATE_LIMIT_EXCEEDED if limit.span in _SHORT_SPANS else Code.INSUFFICIENT_QUOTA
    span = "in all" if limit.span is Span.TOTAL else f"per {limit.span.value}"
    again = "." if wait_s is None else f"; try again in {wait_s} s."
    message = f"The limit of {limit.amount} {unit} {span} is used up{again}"
    fields = b"x-ratelimit-limit-%s: %d\r\nx-ratelimit-remaining-%s: 0\r\n" % (
        unit.encode(),
        limit.amount or 0,
        unit.encode(),
    )
    if wait_s is not None:
        fields += b"x-ratelimit-reset-%s: %s\r\n" % (unit.encode(), duration(wait_s))
    return Refusal(code, message), wait_s, fields


def limit_fields(taken: list[Taken], now_ms: int) -> bytes:
    """The x-ratelimit fields of an answer: of each dimension the limit that is nearest."""
    requests: Lease | None = None
    tokens: Lease | None = None
    requests_left = tokens_left = AMOUNT_MAX
    for allowance, lease, _, _ in taken:
        if lease is None:
            continue
        left = lease.remaining()
        if allowance.is_tokens:
            if left <= tokens_left:
                tokens, tokens_left = lease, left
        elif left <= requests_left:
            requests, requests_left = lease, left
    fields = b""
    if requests is not None:
        fields = _REQUESTS_FIELDS % (requests.amount, requests_left, _reset(requests, now_ms))
    if tokens is not None:
        fields += _TOKENS_FIELDS % (tokens.amount, tokens_left, _reset(tokens, now_ms))
    return fields


def _reset(lease: Lease, now_ms: int) -> bytes:
    return duration((lease.end_ms - now_ms + 999) // 1000)


_REQUESTS_FIELDS = (
    b"x-ratelimit-limit-requests: %d\r\n"
    b"x-ratelimit-remaining-requests: %d\r\n"
    b"x-ratelimit-reset-requests: %b\r\n"
)
_TOKENS_FIELDS = _REQUESTS_FIELDS.replace(b"requests", b"tokens")
