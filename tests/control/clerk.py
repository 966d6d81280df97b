"""A clerk for tests of the API: runs commands on a real store, without sockets or workers.

It keeps the clerk's promises that the API builds on: one transaction a command, its audit row, and
the first answer for a repeated Idempotency-Key.
"""

import datetime
import hashlib
from typing import Any

import msgspec
from msgspec import UNSET

from tallygate.clerk.commands import dispatch
from tallygate.clerk.commands.context import Context
from tallygate.clerk.options import Options
from tallygate.core import commands
from tallygate.core.commands import Arguments, KeyView
from tallygate.core.errors import Code, Refusal, StoreUnavailable
from tallygate.core.keys import Kind, hash_key, make_key, mask
from tallygate.core.limits import Dimension
from tallygate.core.ports import Actor
from tallygate.core.sealing import seal_key
from tallygate.core.windows import Span
from tallygate.store import audit, idempotency, keys, limits, nodes, providers
from tallygate.store.database import Database, Tx

MASTER_KEY = b"m" * 32
OPTIONS = Options(
    data="", database_url="", node_uuid="node", node_name="this-node", master_key=MASTER_KEY
)
# Run by the clerk's own handlers, which write their audit rows themselves.
REAL_HANDLERS = {
    kind: handler
    for kind, handler in dispatch.HANDLERS.items()
    if kind.__module__ != commands.__name__
}
DAY_MS = 86_400_000


class StoreClerk:
    def __init__(self, db: Database, now_ms: int = 1_770_800_000_000) -> None:
        self.db = db
        self.now_ms = now_ms
        self.stale: list[str] = []
        self.is_down = False
        self.seen: list[tuple[Arguments, Actor]] = []
        self._made = 0

    async def command(
        self, arguments: Arguments, actor: Actor, idempotency_key: str | None = None
    ) -> Any:
        if self.is_down:
            raise StoreUnavailable("the clerk is not running")
        self.seen.append((arguments, actor))
        payload = hashlib.sha256(msgspec.msgpack.encode(arguments)).digest()
        async with self.db.writing() as tx:
            if idempotency_key is not None:
                earlier = await idempotency.claim(
                    tx,
                    MASTER_KEY,
                    scope="command",
                    key=idempotency_key,
                    payload_hash=arguments.NAME.encode() + payload,
                    owner="test",
                    request_id=actor.request_id,
                    now_ms=self.now_ms,
                    keep_ms=DAY_MS,
                )
                if earlier.state is idempotency.State.CONFLICT:
                    raise Refusal(Code.IDEMPOTENCY_CONFLICT, "another payload came with this key")
                if earlier.state is idempotency.State.DONE:
                    assert earlier.answer is not None
                    return msgspec.msgpack.decode(earlier.answer)
            is_own = type(arguments) not in REAL_HANDLERS
            if is_own:
                value = await self._run(tx, arguments)
            else:
                value = await self._run_really(tx, arguments, actor)
            plain = msgspec.to_builtins(value, builtin_types=(bytes,))
            if is_own:
                await audit.record(
                    tx, actor, arguments.NAME, _subject(arguments), None, plain, self.now_ms
                )
            if idempotency_key is not None:
                await idempotency.finish(
                    tx,
                    MASTER_KEY,
                    scope="command",
                    key=idempotency_key,
                    status=200,
                    content_type="",
                    answer=msgspec.msgpack.encode(plain),
                )
        return plain

    async def _run_really(self, tx: Tx, arguments: Arguments, actor: Actor) -> Any:
        """As the clerk does it, audit row and events included."""
        context = Context(tx, self.now_ms, actor, OPTIONS, self._entropy)
        value = await REAL_HANDLERS[type(arguments)](context, arguments)
        await context.append_events()
        return value

    def _entropy(self, size: int) -> bytes:
        self._made += 1
        return self._made.to_bytes(size, "big")

    async def _run(self, tx: Tx, arguments: Arguments) -> Any:
        match arguments:
            case commands.CreateKey():
                return await self._create(tx, arguments)
            case commands.PatchKey():
                return await self._patch(tx, arguments)
            case commands.DeleteKey():
                view = await self._known(tx, arguments.key)
                await keys.delete(tx, view.id, self.now_ms)
                return view
            case commands.RotateKey():
                view = await self._known(tx, arguments.key)
                await keys.expire_secrets(tx, view.id, self.now_ms + arguments.grace_s * 1000)
                return await self._with_secret(tx, view.id)
            case commands.ResetUsage():
                cleared = await limits.reset_day(tx, datetime.date.fromisoformat(arguments.day))
                return {"day": arguments.day, "reset": len(cleared)}
            case commands.Settle():
                return {"stale": self.stale}
            case commands.SaveProvider():
                return await providers.save(tx, MASTER_KEY, arguments, None, self.now_ms)
            case commands.DeleteProvider():
                return await providers.delete(tx, arguments.name, None)
            case commands.RetireNode():
                spent = await nodes.retire(tx, arguments.node, self.now_ms)
                if spent is None:
                    raise Refusal(Code.NOT_FOUND, "no such node")
                return {"node": arguments.node, "spent": {}}
            case commands.Inspect():
                workers = [{"slot": 0, "boot": 1, "pid": 2, "gauges": b""}]
                return {"workers": workers, "figures": {"journal_lag_bytes": 7}}
        raise AssertionError(arguments)

    async def _create(self, tx: Tx, change: commands.CreateKey) -> KeyView:
        key_id = await keys.insert_key(
            tx,
            kind=change.kind,
            label=change.label,
            now_ms=self.now_ms,
            user_id=change.user_id,
            team_id=change.team_id,
            expires_ms=change.expires_ms,
            models=change.models,
            addresses=change.addresses,
            scopes=change.scopes,
        )
        daily = 200 if change.daily_limit is UNSET else change.daily_limit
        await limits.set_daily(tx, key_id, daily, "UTC", self.now_ms)
        await limits.replace(tx, limits.KEY, str(key_id), _limits(change.limits), self.now_ms)
        return await self._with_secret(tx, key_id)

    async def _patch(self, tx: Tx, change: commands.PatchKey) -> KeyView:
        view = await self._known(tx, change.key)
        names = ("label", "is_active", "expires_ms", "models", "addresses", "scopes")
        given = {name: getattr(change, name) for name in names}
        given = {name: value for name, value in given.items() if value is not UNSET}
        await keys.patch(tx, view.id, **given)
        if change.daily_limit is not UNSET:
            await limits.set_daily(tx, view.id, change.daily_limit, "UTC", self.now_ms)
        if change.limits is not UNSET:
            await limits.replace(tx, limits.KEY, str(view.id), _limits(change.limits), self.now_ms)
        return await self._known(tx, str(view.id))

    async def _with_secret(self, tx: Tx, key_id: int) -> KeyView:
        self._made += 1
        secret = make_key(Kind.TRIAL, self._made.to_bytes(24, "big"))
        await keys.add_secret(
            tx,
            key_id,
            key_hash=hash_key(secret.encode()),
            masked=mask(secret),
            sealed=seal_key(MASTER_KEY, secret, key_id, self._made.to_bytes(12, "big")),
            now_ms=self.now_ms + self._made,
        )
        view = await self._known(tx, str(key_id))
        return msgspec.structs.replace(view, secret=secret)

    async def _known(self, tx: Tx, key: str) -> KeyView:
        if (view := await keys.find_view(tx, key)) is None:
            raise Refusal(Code.NOT_FOUND, "there is no such key")
        return view


def _limits(specs: list[commands.LimitSpec]) -> list[limits.NewLimit]:
    return [
        limits.NewLimit(Dimension(one.dimension), Span(one.span), one.zone or "UTC", one.amount)
        for one in specs
    ]


def _subject(arguments: Arguments) -> str:
    if isinstance(arguments, commands.SaveProvider | commands.DeleteProvider):
        return arguments.name
    return ""
