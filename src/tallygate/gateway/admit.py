"""Admission: every counter of a request is checked, then all are taken, or none.

The verdict is synchronous; «not yet» parks the request on the lease that is short.
"""

from tallygate.core.entry import Use
from tallygate.core.errors import Code, Refusal
from tallygate.core.limits import AMOUNT_MAX, Dimension
from tallygate.core.money import format_points
from tallygate.core.windows import FOREVER_S, Span
from tallygate.gateway.answers import duration
from tallygate.gateway.known_keys import KnownKey
from tallygate.gateway.lease import POINTS, REQUESTS, TOKENS, Allowance, Lease, Parked, Taken
from tallygate.gateway.lease_book import LeaseBook

_FOREVER_MS = FOREVER_S * 1000
_SHORT_SPANS = frozenset((Span.MINUTE, Span.HOUR))
_NOTHING = (0, 0, 0, 0)
_MAY_TAKE_THE_REST = frozenset((TOKENS, POINTS))


class OverLimit(Exception):
    """The request must be refused: this allowance has nothing left, or less than it needs."""

    def __init__(self, allowance: Allowance, lease: Lease, need: int) -> None:
        super().__init__()
        self.allowance = allowance
        self.lease = lease
        self.need = need


def admit(
    book: LeaseBook,
    parked: Parked,
    known: KnownKey,
    tokens: int,
    now_ms: int,
    concluded: Lease | None,
    micros: int = 0,
) -> list[Taken] | None:
    """What was taken, or None: parked, `parked.units_answered` follows. OverLimit: refuse.

    `concluded` is the lease that the clerk has just answered for: what is short there stays so.
    """
    needs = (1, tokens, micros, micros)
    short: tuple[Lease, int] | None = None
    plan: list[Taken] = []
    for allowance in known.allowances:
        if now_ms >= allowance.end_ms:
            book.roll(allowance, now_ms)
        lease = allowance.lease
        if lease is None:
            plan.append((allowance, None, allowance.window_s, 0))
            continue
        kind = allowance.kind
        need = needs[kind]
        if lease.available < need and need:  # nothing can be had whatever is owed
            if lease is concluded or lease.is_final:
                if lease.available < 1 or kind not in _MAY_TAKE_THE_REST:
                    raise OverLimit(allowance, lease, need)
                # A last request may take what is left; what it needs beyond that is owed, so that
                # nobody is let through until it turns out that it was not needed.
            elif short is None:
                short = (lease, need)
            else:
                book.ask(lease, need)
        plan.append((allowance, lease, allowance.window_s, need))
    if short is not None:
        book.park(parked, *short)
        return None
    book.take(plan, now_ms)
    return plan


def settle(
    taken: list[Taken], *, is_counted: bool, tokens: int, micros: int = 0, points_micros: int = 0
) -> list[Use]:
    """The request has ended: give back or spend what it held, and say so for the journal.

    `micros` are a wallet's, `points_micros` those that limits in points count: they differ where
    the wallet is charged by whoever settles.
    """
    uses = []
    spending = (1, tokens, micros, points_micros) if is_counted else _NOTHING
    for allowance, lease, window_s, reserved in taken:
        spent = spending[allowance.kind]
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
    if lease.is_wallet:
        return _insufficient(lease, over.need)
    unit = limit.dimension.value
    wait_s = None if lease.end_ms >= _FOREVER_MS else -(-(lease.end_ms - now_ms) // 1000)
    code = Code.RATE_LIMIT_EXCEEDED if limit.span in _SHORT_SPANS else Code.INSUFFICIENT_QUOTA
    span = "in all" if limit.span is Span.TOTAL else f"per {limit.span.value}"
    again = "." if wait_s is None else f"; try again in {wait_s} s."
    amount = limit.amount or 0
    said = format_points(amount) if limit.dimension is Dimension.POINTS else str(amount)
    message = f"The limit of {said} {unit} {span} is used up{again}"
    fields = b"x-ratelimit-limit-%b: %b\r\nx-ratelimit-remaining-%b: 0\r\n" % (
        unit.encode(),
        said.encode(),
        unit.encode(),
    )
    if wait_s is not None:
        fields += b"x-ratelimit-reset-%s: %s\r\n" % (unit.encode(), duration(wait_s))
    return Refusal(code, message), wait_s, fields


def _insufficient(lease: Lease, need: int) -> tuple[Refusal, int | None, bytes]:
    """The wallet does not cover what the request may cost."""
    balance = format_points(lease.balance_micros())
    message = f"This request may cost up to {format_points(need)} points, "
    if lease.balance_micros() < need:
        message += f"and the balance is {balance} points."
    else:
        message += f"and too much of the balance of {balance} points is set aside at the moment."
    fields = b"x-tallygate-balance: %b\r\n" % balance.encode()
    return Refusal(Code.INSUFFICIENT_QUOTA, message), None, fields


def limit_fields(taken: list[Taken], now_ms: int) -> bytes:
    """The x-ratelimit fields of an answer: of each dimension the limit that is nearest."""
    requests: Lease | None = None
    tokens: Lease | None = None
    points: Lease | None = None
    requests_left = tokens_left = points_left = AMOUNT_MAX
    for allowance, lease, _, _ in taken:
        if lease is None:
            continue
        amount = lease.amount or 0
        left = amount - lease.used + lease.available  # what is left, as far as is known here
        left = 0 if left < 0 else amount if left > amount else left
        kind = allowance.kind
        if kind == TOKENS:
            if left <= tokens_left:
                tokens, tokens_left = lease, left
        elif kind == REQUESTS:
            if left <= requests_left:
                requests, requests_left = lease, left
        elif kind == POINTS and left <= points_left:
            points, points_left = lease, left
    fields = b""
    if requests is not None:
        reset = duration((requests.end_ms - now_ms + 999) // 1000)
        fields = _REQUESTS_FIELDS % (requests.amount, requests_left, reset)
    if tokens is not None:
        reset = duration((tokens.end_ms - now_ms + 999) // 1000)
        fields += _TOKENS_FIELDS % (tokens.amount, tokens_left, reset)
    if points is not None:
        reset = duration((points.end_ms - now_ms + 999) // 1000)
        most, rest = format_points(points.amount or 0), format_points(points_left)
        fields += _POINTS_FIELDS % (most.encode(), rest.encode(), reset)
    return fields


_REQUESTS_FIELDS = (
    b"x-ratelimit-limit-requests: %d\r\n"
    b"x-ratelimit-remaining-requests: %d\r\n"
    b"x-ratelimit-reset-requests: %b\r\n"
)
_TOKENS_FIELDS = _REQUESTS_FIELDS.replace(b"requests", b"tokens")
_POINTS_FIELDS = _REQUESTS_FIELDS.replace(b"requests", b"points").replace(b"%d", b"%b")
