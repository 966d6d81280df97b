"""A journal entry: one finished request, complete enough to settle every counter it touched.

An entry names limit, window and generation beside the lease, so that a store restored from an older
backup, which never heard of the lease, can still settle it.
"""

import enum

import msgspec


class Outcome(enum.StrEnum):
    """How a request that was let through ended."""

    OK = "ok"
    CLIENT_GONE = "client_gone"
    CUT = "cut"  # the upstream broke off in the middle of its answer
    UPSTREAM_ERROR = "upstream_error"  # an answer outside 2xx
    UNREACHABLE = "unreachable"  # no answer began
    LOST = "lost"  # admitted by a worker that died before it could say how it ended


class Use(msgspec.Struct, array_like=True, gc=False):
    """What one request took of one counter. `lease_id` 0: an unlimited limit, only tallied."""

    lease_id: int
    limit_id: int
    window_s: int
    generation: int
    reserved: int
    spent: int


class Attempt(msgspec.Struct, array_like=True, gc=False):
    """One try at one upstream."""

    provider: str
    status: int  # 0: no answer
    duration_ms: int


class DifyUse(msgspec.Struct, array_like=True, gc=False):
    """Which event of a Dify server a request was, so that it is charged once whoever reports it."""

    instance: str
    aliases: tuple[tuple[str, str], ...]  # (kind, id), kind message or run
    conversation_id: str
    message_id: str
    model: str  # the one that counted most; "" if nobody named one
    parts: tuple[tuple[str, dict[str, int]], ...]
    is_charged: bool  # else its models are called through this gateway, and charged there


class Charge(msgspec.Struct, array_like=True, gc=False):
    """What a request costs its wallet, and the versions of price and rate that say so."""

    wallet_id: int
    price_id: int
    rate_id: int  # 0: a price in points needs none
    micros: int
    output_micros: int  # the part of it that output cost


class Entry(msgspec.Struct, array_like=True, gc=False):
    """One request that was let through. Fields are only ever added, at the end."""

    request_id: str
    tenant_id: int
    key_id: int
    user_id: str
    admitted_ms: int
    duration_ms: int
    first_byte_ms: int
    route: str
    model: str
    provider: str
    status: int
    outcome: Outcome
    source: str  # reported, estimated, missing, lost (core/usage.py)
    is_counted: bool
    counts: dict[str, int]
    uses: list[Use]
    address: str
    agent: str
    bytes_in: int
    bytes_out: int
    attempts: list[Attempt] = []
    charge: Charge | None = None  # None: nobody pays for it
    event: DifyUse | None = None  # of a Dify server: settling finds out what it costs
    traceparent: str = ""  # as its client sent it: the trace that it belongs to
