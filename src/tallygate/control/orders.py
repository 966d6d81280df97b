"""Changes: how a call of the API becomes a command that the clerk runs.

The clerk audits who asked and answers a repeated Idempotency-Key with its first result; here the
caller is named and the key is checked.
"""

from typing import Any, TypeVar
from typing import Protocol as Port

import msgspec
from fastapi import Request

from tallygate.control.callers import caller_of, client_address
from tallygate.core.commands import Arguments
from tallygate.core.errors import Code, Refusal
from tallygate.core.ports import Actor

IDEMPOTENCY_KEY_LENGTH_MAX = 255

V = TypeVar("V")


class Clerk(Port):
    """What the control plane needs of the clerk; Refusal and StoreUnavailable come through."""

    async def command(
        self, arguments: Arguments, actor: Actor, idempotency_key: str | None = None
    ) -> Any: ...  # a plain value: each command documents its own


async def order(clerk: Clerk, request: Request, arguments: Arguments, kind: type[V]) -> V:
    """Run a command for the caller of `request` and read its value as `kind`."""
    key = idempotency_key(request)
    value = await clerk.command(arguments, actor_of(request), key)
    return msgspec.convert(value, kind, builtin_types=(bytes,))


def actor_of(request: Request) -> Actor:
    name = caller_of(request).name
    return Actor(name=name, address=client_address(request), request_id=request.state.request_id)


def idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= IDEMPOTENCY_KEY_LENGTH_MAX:
        raise Refusal(
            Code.BAD_REQUEST,
            f"`Idempotency-Key`: use 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} characters",
            param="Idempotency-Key",
        )
    return key
