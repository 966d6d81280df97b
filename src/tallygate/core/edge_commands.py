"""The edge as operators see it: how publishing stands, and publishing at once."""

import datetime
from typing import Final

import msgspec

from tallygate.core.commands import Arguments

OFF: Final = "off"
FAILING: Final = "failing"
OVER_QUOTA: Final = "over_quota"
WAITING: Final = "waiting"
CURRENT: Final = "current"


class PublishEdge(Arguments):
    """Publish what waits now; `reconcile` compares all of KV first. → Publishing."""

    NAME = "edge.publish"
    reconcile: bool = False


class WithheldRoute(msgspec.Struct, kw_only=True):
    """A route that the edge must not serve."""

    host: str
    path: str
    reason: str


class Publishing(msgspec.Struct, kw_only=True):
    """`state`: off, current, waiting, failing or over_quota; times are ms, 0: never."""

    state: str
    namespace_id: str
    entries: int  # that lie in KV
    waiting: int
    waiting_revocations: int
    waiting_since_ms: int
    writes_today: int
    deletes_today: int
    writes_per_day: int  # 0: no bound
    published_ms: int
    reconciled_ms: int
    retry_ms: int
    error: str
    publisher: str  # the node
    withheld: list[WithheldRoute]


def utc_day(now_ms: int) -> str:
    """The day that Cloudflare counts in."""
    return datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC).date().isoformat()


def state_of(*, is_on: bool, waiting: int, failures: int, is_over_quota: bool) -> str:
    if not is_on:
        return OFF
    if failures:
        return FAILING
    if not waiting:
        return CURRENT
    return OVER_QUOTA if is_over_quota else WAITING
