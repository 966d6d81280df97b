"""What was answered is on the books before it is reported; who could not be asked is named."""

from typing import Any
from urllib.parse import quote

import msgspec
from fastapi import Request

from tallygate.control.orders import actor_of
from tallygate.control.parts import Parts
from tallygate.core.commands import Settle
from tallygate.core.errors import StoreUnavailable

STALE = "x-tallygate-stale"


class Settled(msgspec.Struct, kw_only=True):
    stale: list[str]


async def settle(parts: Parts, request: Request) -> dict[str, str] | None:
    """Settle every node, for at most two seconds; headers that name those which did not.

    When this node's clerk does not answer, it is the one that is named.
    """
    try:
        value: Any = await parts.clerk.command(Settle(), actor_of(request))
        stale = msgspec.convert(value, Settled).stale
    except StoreUnavailable:
        stale = [parts.node_name]
    return {STALE: ", ".join(quote(name, safe=" ") for name in stale)} if stale else None
