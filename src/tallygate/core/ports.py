"""Where the planes meet: messages between gateway, clerk and operators; a key as gateways see it.

Messages are msgpack in frames over the node's Unix socket (wire/channel.py). Requests carry an `id`
which the answer repeats. Totals are cumulative, so a repeated or lost message changes nothing.
"""

from typing import Protocol as Port

import msgspec

from tallygate.core.claims import Claim, Claimed, Fulfil, Fulfilled
from tallygate.core.deliveries import Deliver, Delivered
from tallygate.core.limits import Limit
from tallygate.core.pricing import Book
from tallygate.core.provider import Snapshot
from tallygate.core.shares import Share, Shared


class Key(msgspec.Struct, array_like=True, gc=False):
    """What admission needs of a key. Its secret is not part of it."""

    id: int
    tenant_id: int
    kind: str
    is_active: bool
    expires_ms: int | None  # the earlier of the key's expiry and this secret's grace
    user_id: str
    team_id: str
    models: tuple[str, ...] | None  # None: all; a trailing * matches any ending
    addresses: tuple[str, ...] | None  # CIDRs
    scopes: tuple[str, ...]
    limits: tuple[Limit, ...]  # sorted by id
    wallet_id: int = 0  # of the account that pays for its use; 0: nobody does


# --- gateway → clerk ---


class Hello(msgspec.Struct, array_like=True, tag="hello"):
    """A worker introduces itself; sent again after every reconnect with the same boot."""

    slot: int
    boot: int
    pid: int


class LookUp(msgspec.Struct, array_like=True, tag="lookup"):
    id: int
    key_hash: bytes


class Ask(msgspec.Struct, array_like=True, gc=False):
    """The state of one lease as its worker sees it, and how many units it needs now.

    `limit_id` is minus a wallet's id where micro-points are leased. `lease_id` 0 opens a lease.
    `need` is what must be available beyond what the worker already holds, of it `least` what the
    most modest of those who wait needs (0 where each needs one): less than that is of no use, but
    for a last request of a limit.
    `is_closing`: nothing is reserved any more and nothing will be.
    """

    limit_id: int
    window_s: int
    lease_id: int
    need: int
    granted: int
    returned: int
    is_closing: bool = False
    least: int = 0


class Sync(msgspec.Struct, array_like=True, tag="sync"):
    """All leases that changed or need units, sorted by (limit_id, window_s)."""

    id: int
    asks: list[Ask]


class FetchModels(msgspec.Struct, array_like=True, tag="models"):
    """Refresh providers' model lists that are older than a minute; answered by `Refreshed`."""

    id: int


class Gauges(msgspec.Struct, array_like=True, tag="gauges"):
    """A worker's counters since its start, each second (telemetry.py gives them their names)."""

    slot: int
    boot: int
    values: bytes


class CredentialUse(msgspec.Struct, array_like=True, tag="credentials"):
    """Credentials of pools, by id: used lately, and refused by their upstream with 401."""

    used: list[int]
    refused: list[int]


class Priced(msgspec.Struct, array_like=True, tag="priced"):
    """From now on, requests are charged by the book of this number."""

    number: int


# --- clerk → gateway ---


class Welcome(msgspec.Struct, array_like=True, tag="welcome"):
    """`clock_offset_ms` + CLOCK_MONOTONIC in ms is the store's time."""

    node: str
    store: str
    clock_offset_ms: int
    feed_seq: int
    is_store_available: bool
    snapshot: Snapshot


class Found(msgspec.Struct, array_like=True, tag="found"):
    """`key` None: unknown, unless the store could not be asked."""

    id: int
    key: Key | None
    is_store_available: bool


class Answer(msgspec.Struct, array_like=True, gc=False):
    """One lease after a Sync.

    `used` is spent + leased of the counter. Of a wallet it is what this lease holds minus the
    balance, so that the worker knows the balance at any time: available + reserved - used.
    """

    lease_id: int
    generation: int
    granted: int
    is_short: bool  # less than needed was left, after recalling what was leased elsewhere
    is_final: bool  # short, and nothing is leased elsewhere: it stays so until the window ends
    used: int


class Synced(msgspec.Struct, array_like=True, tag="synced"):
    id: int
    is_store_available: bool
    answers: list[Answer]  # in the order of the asks; empty if the store could not be asked


class Refreshed(msgspec.Struct, array_like=True, tag="refreshed"):
    id: int


class Change(msgspec.Struct, array_like=True, gc=False):
    """One event of the change feed.

    kind     subject, detail
    key      key id: forget what is cached of it (an unknown id: forget the unknown hashes)
    limit    limit id: its amount changed; return what is leased of it, ask afresh
    counter  limit id, window_s: it was reset; drop the lease without returning it
    flush    forget every key
    """

    seq: int
    kind: str
    subject: int
    detail: int


class Changes(msgspec.Struct, array_like=True, tag="changes"):
    changes: list[Change]


class Recall(msgspec.Struct, array_like=True, tag="recall"):
    """Others need units of these counters: give back what no request holds, at once, by a Sync."""

    counters: list[tuple[int, int]]  # (limit_id, window_s)


class Tick(msgspec.Struct, array_like=True, tag="tick"):
    """Four times a second: the clerk lives, the feed was read, the clock stands so."""

    clock_offset_ms: int
    feed_seq: int
    is_store_available: bool


class Reload(msgspec.Struct, array_like=True, tag="reload"):
    """Providers changed."""

    snapshot: Snapshot


class PriceBook(msgspec.Struct, array_like=True, tag="book"):
    """All prices and the rate, whole; answered by `Priced` with the same number."""

    number: int
    book: Book


class Leave(msgspec.Struct, array_like=True, tag="leave"):
    """This worker's life is over in the store: end, so that a new one can begin."""


# --- operators → clerk ---


class Actor(msgspec.Struct, array_like=True):
    """Who asks, for the audit log."""

    name: str
    address: str
    request_id: str


class Command(msgspec.Struct, array_like=True, tag="command"):
    """A change or a question of the control plane or the CLI (core/commands.py names them)."""

    id: int
    name: str
    arguments: bytes  # msgpack of the command's own struct
    actor: Actor
    idempotency_key: str | None = None


class Result(msgspec.Struct, array_like=True, tag="result"):
    """`code` "" means success; `param` is the field that a refusal is about."""

    id: int
    code: str
    message: str
    value: bytes  # msgpack
    param: str | None = None


_Told = Gauges | CredentialUse | Priced  # unasked, and unanswered
_Asked = Hello | LookUp | Sync | FetchModels | Claim | Fulfil | Deliver | Share | Command
FromWorker = _Asked | _Told
FromClerk = (
    Welcome
    | Found
    | Synced
    | Refreshed
    | Claimed
    | Fulfilled
    | Shared
    | Delivered
    | Changes
    | Recall
    | Tick
    | Reload
    | PriceBook
    | Leave
    | Result
)


class Clock(Port):
    """Time, injected: the store's time for what is written, monotonic time for deadlines."""

    def now_ms(self) -> int:
        """The store's wall clock; never goes backwards."""
        ...

    def monotonic_ms(self) -> int: ...
