"""From a command's name to its value: one transaction with its audit row, events and idempotency.

Some commands are not one transaction: settling waits for others, cleaning takes many small steps,
publishing to the edge waits for Cloudflare, and the clerk's own figures need no store. `Clerk`
hands those in as `standing`. A change of prices is one, but is answered only when whoever computes
costs has heard of it.
"""

import asyncio
import functools
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from tallygate.clerk.commands import (
    accounts,
    anomalies,
    budgets,
    charges,
    credentials,
    dead_letters,
    dify,
    holds,
    import_points,
    import_tokens,
    imports,
    keys,
    limits,
    nodes,
    prices,
    providers,
    redeem,
    routes,
    usage,
    wallets,
)
from tallygate.clerk.commands.context import Context, Handler, Handlers, MoneyLeased
from tallygate.clerk.options import Options
from tallygate.clerk.writer import Writer
from tallygate.core import commands as known
from tallygate.core.credential_commands import RunKeeper
from tallygate.core.dify_commands import TakeBrowserEvents
from tallygate.core.edge_commands import PublishEdge
from tallygate.core.errors import Code, Refusal
from tallygate.core.ports import Actor
from tallygate.core.price_commands import PriceChange
from tallygate.store import idempotency
from tallygate.store.database import Tx
from tallygate.store.idempotency import State

HOUR_MS = 3_600_000
RECALL_S = 1.0
RETRY_S = 0.05  # gateways give money back without telling us
MSGPACK = "application/msgpack"

Standing = Callable[[Any, Actor], Awaitable[Any]]

HANDLERS: Handlers = {
    known.CreateKey: keys.create,
    known.PatchKey: keys.patch,
    known.DeleteKey: keys.delete,
    known.RotateKey: keys.rotate,
    known.DeactivateUnusedKeys: keys.deactivate_unused,
    known.ResetUsage: usage.reset,
    known.SaveProvider: providers.save,
    known.DeleteProvider: providers.delete,
    known.RetireNode: nodes.retire,
    known.ImportQuotaProxy: imports.quota_proxy,
    **limits.HANDLERS,
    **prices.HANDLERS,
    **wallets.HANDLERS,
    **holds.HANDLERS,
    **redeem.HANDLERS,
    **budgets.HANDLERS,
    **charges.HANDLERS,
    **dead_letters.HANDLERS,
    **credentials.HANDLERS,
    **dify.HANDLERS,
    **accounts.HANDLERS,
    **anomalies.HANDLERS,
    **routes.HANDLERS,
    **import_points.HANDLERS,
    **import_tokens.HANDLERS,
}
_STANDING: tuple[type[known.Arguments], ...] = (
    known.CleanUsage,
    known.Settle,
    known.Inspect,
    TakeBrowserEvents,
    PublishEdge,
    RunKeeper,
)
_TYPES = {kind.NAME: kind for kind in (*HANDLERS, *_STANDING)}


class Dispatch:
    def __init__(
        self,
        writer: Writer,
        options: Options,
        entropy: Callable[[int], bytes],
        standing: Mapping[type[known.Arguments], Standing],
        on_events: Callable[[], None],
        spread_prices: Callable[[], Awaitable[None]],
        recall: Callable[[int], None],
    ) -> None:
        self._writer = writer
        self._options = options
        self._entropy = entropy
        self._standing = standing
        self._on_events = on_events
        self._spread_prices = spread_prices
        self._recall = recall  # what gateways have leased of a wallet

    async def run(
        self, name: str, arguments: bytes, actor: Actor, idempotency_key: str | None
    ) -> bytes:
        """The command's value as msgpack; Refusal or StoreUnavailable say why there is none."""
        kind = _TYPES.get(name)
        if kind is None:
            raise Refusal(Code.BAD_REQUEST, f"no command is named {name!r}")
        try:
            command = msgspec.msgpack.decode(arguments, type=kind)
        except msgspec.MsgspecError as error:
            raise Refusal(Code.BAD_REQUEST, f"{name}: {error}") from error
        if kind in self._standing:
            return msgspec.msgpack.encode(await self._standing[kind](command, actor))

        async def work(tx: Tx, now_ms: int, *, may_recall: bool) -> bytes:
            context = Context(tx, now_ms, actor, self._options, self._entropy, may_recall)
            if idempotency_key is None:
                return await _perform(context, HANDLERS[kind], command)
            digest = hashlib.sha256(arguments).digest()
            return await self._once(context, HANDLERS[kind], command, idempotency_key, digest)

        value = await self._do(name, work)
        self._on_events()
        if issubclass(kind, PriceChange):
            await self._spread_prices()
        return value

    async def _do(self, name: str, work: Callable[..., Awaitable[bytes]]) -> bytes:
        """Decided at once, or when gateways have had a second to give back what they lease."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + RECALL_S
        while True:
            may_recall = loop.time() < deadline_s
            try:
                return await self._writer.do(name, functools.partial(work, may_recall=may_recall))
            except MoneyLeased as short:
                self._recall(short.wallet_id)
                await asyncio.sleep(RETRY_S)

    async def _once(
        self, context: Context, handler: Handler, command: known.Arguments, key: str, digest: bytes
    ) -> bytes:
        """The same command sent again is answered as it was the first time."""
        place = {"scope": f"command:{command.NAME}", "key": key}
        master_key = self._options.master_key
        earlier = await idempotency.claim(
            context.tx,
            master_key,
            **place,
            payload_hash=digest,
            owner="",
            request_id=context.actor.request_id,
            now_ms=context.now_ms,
            keep_ms=self._options.idempotency_keep_h * HOUR_MS,
        )
        if earlier.state is State.CONFLICT:
            raise Refusal(
                Code.IDEMPOTENCY_CONFLICT, "this Idempotency-Key was used for another request"
            )
        if earlier.state is State.DONE:
            return earlier.answer or msgspec.msgpack.encode(None)
        value = await _perform(context, handler, command)
        await idempotency.finish(
            context.tx, master_key, **place, status=200, content_type=MSGPACK, answer=value
        )
        return value


async def _perform(context: Context, handler: Handler, command: known.Arguments) -> bytes:
    value = msgspec.msgpack.encode(await handler(context, command))
    await context.append_events()
    return value
