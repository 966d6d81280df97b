"""A small world of accounts, and everything that may happen to their money, driven by one seed.

Beside the store an observer keeps his own books: what he was told has been given is in `given`, and
of each event what it should have cost. He trusts answers, not the ledger, so that the two can be
compared in the end.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa

from tallygate.clerk.commands.dispatch import Dispatch
from tallygate.core.charging import Event, Policy, Source, State, Trust
from tallygate.core.commands import Arguments
from tallygate.core.errors import Code, Refusal
from tallygate.core.ports import Actor
from tallygate.core.pricing import Prices
from tallygate.core.usage import CACHE_READ_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS
from tallygate.core.wallet_commands import (
    AdjustWallet,
    CaptureHold,
    ConfigureWallet,
    CreateBatch,
    CreateBudget,
    GrantPoints,
    PlaceHold,
    RedeemCode,
    RefundCharge,
    ReleaseHold,
    TopUpWallet,
    VoidBatch,
    VoidGrant,
)
from tallygate.store import charging, holds, prices, wallets
from tallygate.store.database import Database, Tx
from tallygate.store.money_schema import charge, credit_grant, hold, ledger_entry, price, rate
from tallygate.store.money_schema import wallet as wallet_table
from tests.clerk.samples import make_options
from tests.sim.crashes import Crash, CrashingWriter
from tests.store.purse import NOW_MS, POINT, insert_account, insert_prices

ACTOR = Actor("sim", "127.0.0.1", "")
TRIES_MAX = 40
OPENING_MICROS = 400 * POINT
ACCEPTED = {  # how a command may be refused; anything else is a bug
    Code.INSUFFICIENT_BALANCE,
    Code.CONFLICT,
    Code.IMPOSSIBLE,
    Code.NOT_FOUND,
    Code.FORBIDDEN,
}
MODELS = ("gpt-4", "deepseek", "GPT-4", "nobody-knows")


@dataclass
class World:
    """One history in a store that it shares with others, which are named otherwise."""

    db: Database
    name: str
    seed: int
    rng: random.Random
    writer: CrashingWriter
    accounts: list[str]
    dispatch: Dispatch
    given: dict[str, int] = field(default_factory=dict)
    codes: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    redeemed: set[str] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)
    orders: int = 0
    events: int = 0

    @classmethod
    async def begin(
        cls, db: Database, seed: int, *, name: str = "", crashes: float = 0.25
    ) -> "World":
        rng = random.Random(seed)
        name = name or str(seed)
        accounts = [f"{name}-{who}" for who in ("ada", "bob", "cai")]
        async with db.writing() as tx:
            if await tx.scalar(sa.select(sa.func.count()).select_from(price)) == 0:
                await insert_prices(tx)
            for account_id in accounts:
                await insert_account(tx, account_id, OPENING_MICROS)
        writer = CrashingWriter(db, rng, crashes)
        writer.now_ms = NOW_MS
        options = make_options("", "")  # type: ignore[arg-type]  # no folder is used
        entropy = random.Random(name).randbytes  # no two of a store make the same code

        async def spread_prices() -> None:
            """Nobody else has them."""

        dispatch = Dispatch(
            writer, options, entropy, {}, lambda: None, spread_prices, lambda _: None
        )  # type: ignore[arg-type]  # stands for one
        return cls(
            db, name, seed, rng, writer, accounts, dispatch, dict.fromkeys(accounts, OPENING_MICROS)
        )

    async def step(self) -> None:
        self.writer.now_ms += self.rng.choice((0, 1, 1, 500, 500, 60_000, 3_600_000))
        names = list(WEIGHTS)
        (name,) = self.rng.choices(names, [WEIGHTS[one] for one in names])
        self.steps.append(name)
        await getattr(self, name)()

    # --- commands ---

    async def order(self, command: Arguments) -> Any:
        """Sent until there is an answer, as a careful client does: with one key."""
        self.orders += 1
        key = f"{self.name}-{self.orders}"
        payload = msgspec.msgpack.encode(command)

        async def send() -> Any:
            answer = await self.dispatch.run(command.NAME, payload, ACTOR, key)
            return msgspec.msgpack.decode(answer)

        try:
            answer = await insist(send)
            if self.rng.random() < 0.2:  # delivered twice
                assert await insist(send) == answer
        except Refusal as refusal:
            assert refusal.code in ACCEPTED, (command, refusal)
            return None
        return answer

    def anyone(self) -> str:
        return self.rng.choice(self.accounts)

    def micros(self) -> int:
        return self.rng.choice(
            (1, 7, 999_999, POINT, 300 * POINT, self.rng.randint(1, 900 * POINT))
        )

    async def top_up(self) -> None:
        account_id, micros = self.anyone(), 2 * self.micros()
        if await self.order(TopUpWallet(account_id=account_id, micros=micros)):
            self.given[account_id] += micros

    async def adjust(self) -> None:
        account_id = self.anyone()
        micros = self.micros() * self.rng.choice((1, -1, -1))
        is_forced = self.rng.random() < 0.5
        change = AdjustWallet(account_id=account_id, micros=micros, is_forced=is_forced)
        if await self.order(change):
            self.given[account_id] += micros

    async def grant(self) -> None:
        account_id, micros = self.anyone(), self.micros()
        lasts = self.rng.choice((None, 1000, 3_600_000))
        change = GrantPoints(
            account_id=account_id,
            micros=micros,
            priority=self.rng.randint(-1, 1),
            expires_ms=None if lasts is None else self.writer.now_ms + lasts,
        )
        if await self.order(change):
            self.given[account_id] += micros

    async def void_grant(self) -> None:
        if (grant_id := await self.pick(credit_grant)) is not None:
            await self.order(VoidGrant(grant_id=grant_id))

    async def configure(self) -> None:
        floor_micros = self.rng.choice((0, -POINT, -500 * POINT))
        change = ConfigureWallet(account_id=self.anyone(), floor_micros=floor_micros)
        change.warn_micros = self.rng.choice((None, 100 * POINT))
        await self.order(change)

    async def hold(self) -> None:
        lasts_ms = self.rng.choice((1, 60_000, 10_000_000))
        change = PlaceHold(
            account_id=self.anyone(), micros=self.micros(), owner="sim", lasts_ms=lasts_ms
        )
        await self.order(change)

    async def capture(self) -> None:
        if (hold_id := await self.pick(hold)) is not None:
            micros = self.rng.choice((None, 0, 1, POINT))
            await self.order(CaptureHold(hold_id=hold_id, micros=micros))

    async def release(self) -> None:
        if (hold_id := await self.pick(hold)) is not None:
            await self.order(ReleaseHold(hold_id=hold_id))

    async def refund(self) -> None:
        if (charge_id := await self.pick(charge)) is not None:
            micros = self.rng.choice((None, 1, POINT))
            await self.order(RefundCharge(charge_id=charge_id, micros=micros))

    async def make_codes(self) -> None:
        days = self.rng.choice((None, 1))
        made = await self.order(CreateBatch(count=2, micros=5 * POINT, grant_days=days))
        self.codes += made["codes"]
        self.batches.append(made["id"])

    async def void_batch(self) -> None:
        if self.batches:
            await self.order(VoidBatch(batch_id=self.rng.choice(self.batches)))

    async def redeem(self) -> None:
        if not self.codes:
            return
        account_id, code = self.anyone(), self.rng.choice(self.codes)
        if await self.order(RedeemCode(account_id=account_id, code=code)):
            assert code not in self.redeemed, "a code was good twice"
            self.redeemed.add(code)
            self.given[account_id] += 5 * POINT

    async def budget(self) -> None:
        change = CreateBudget(
            subject_kind="user", subject_id=self.anyone(), span="day", micros=100 * POINT
        )
        await self.order(change)

    # --- what happens by itself ---

    async def expire(self) -> None:
        """A round of the clerk's, over everybody."""

        async def sweep(tx: Tx, now_ms: int) -> None:
            due = await holds.due_wallets(tx, now_ms, after_id=0, limit=50)
            found = await wallets.lock_ids(tx, due, now_ms)
            await wallets.write(tx, found.values())

        await self.maybe(sweep)

    async def change_price(self) -> None:
        """Charges that are made pin what was; those to come cost something else."""

        async def add(tx: Tx, now_ms: int) -> None:
            latest = sa.select(price).where(price.c.model == "gpt-4").order_by(price.c.id.desc())
            row = dict((await tx.execute(latest.limit(1))).one()._mapping)
            row |= {"input_picos": self.rng.randint(1, 4 * 10**7), "effective_ms": now_ms}
            del row["id"]
            await tx.execute(sa.insert(price), row)
            said = {"created_ms": now_ms, "actor": "sim", "reason": ""}
            micros = self.rng.randint(1, 12_000) * POINT
            await tx.execute(sa.insert(rate), {"micros_per_usd": micros, **said})

        await self.maybe(add)

    async def deliver(self) -> None:
        """A batch of events: new ones, old ones again, by other sources, with other numbers."""
        events = [self.event() for _ in range(self.rng.randint(1, 6))]
        if self.rng.random() < 0.3:
            events += self.rng.sample(events, 1)
        policy = Policy(2000 * POINT, self.rng.random() < 0.5, Trust.CHARGE)

        async def take(tx: Tx, now_ms: int) -> None:
            book = Prices(await prices.read_book(tx, now_ms))
            await charging.charge_batch(tx, events, book, policy, now_ms)

        await self.maybe(take)

    def event(self) -> Event:
        if self.rng.random() < 0.6:
            self.events += 1
        number = self.rng.randint(1, max(1, self.events))
        rng = random.Random(f"{self.seed}-{number}")  # the same event says the same each time
        account_id, model = rng.choice(self.accounts), rng.choice(MODELS)
        counts = {INPUT_TOKENS: rng.randint(0, 900), OUTPUT_TOKENS: rng.randint(0, 900)}
        counts[CACHE_READ_TOKENS] = rng.randint(0, counts[INPUT_TOKENS])
        if self.rng.random() < 0.15:  # somebody counts otherwise
            counts[OUTPUT_TOKENS] += self.rng.randint(1, 50)
        parts: tuple[tuple[str, dict[str, int]], ...] = ()
        if number % 7 == 0 and model == "gpt-4":
            parts = (("gpt-4", counts), ("deepseek", {OUTPUT_TOKENS: 5}))
        message_id = f"{self.name}-{number}"
        aliases: tuple[tuple[str, str], ...] = (("message", message_id), ("run", message_id))
        source = self.rng.choice((Source.WEBHOOK, Source.PROXY, Source.TRACING, Source.BROWSER))
        return Event(
            source=source,
            is_estimated=source is Source.PROXY and self.rng.random() < 0.5,
            is_run=source is Source.WEBHOOK and self.rng.random() < 0.2,
            instance="dify",
            aliases=aliases[: self.rng.randint(1, 2)] if rng.random() < 0.5 else aliases[:1],
            account_id=account_id,
            model=model,
            counts=counts,
            event_ms=self.writer.now_ms,
            message_id=message_id,
            parts=parts,
        )

    # --- tools ---

    async def maybe(self, work: Callable[[Tx, int], Awaitable[None]]) -> None:
        """Tried once; whether it happened is seen in the books alone."""
        try:
            await self.writer.do("", work)
        except Crash:
            return

    async def pick(self, table: sa.Table) -> int | None:
        """Any row of ours, by its id."""
        ours = sa.select(wallet_table.c.id).where(wallet_table.c.account_id.in_(self.accounts))
        async with self.db.reading() as tx:
            found = await tx.execute(sa.select(table.c.id).where(table.c.wallet_id.in_(ours)))
            ids = sorted(row[0] for row in found)
        return self.rng.choice(ids) if ids else None

    async def check(self) -> None:
        """Every balance is what was given, less what was charged, less what has ended."""
        async with self.db.reading() as tx:
            for account_id in self.accounts:
                owner = (
                    await tx.execute(
                        sa.select(wallet_table).where(wallet_table.c.account_id == account_id)
                    )
                ).one()
                charges = (
                    await tx.execute(sa.select(charge).where(charge.c.account_id == account_id))
                ).all()
                taken = [one for one in charges if one.state in (State.CHARGED, State.REFUNDED)]
                spent = sum(one.micros - one.refunded_micros for one in taken)
                ended = await tx.scalar(
                    sa.select(sa.func.sum(ledger_entry.c.amount_micros)).where(
                        ledger_entry.c.wallet_id == owner.id, ledger_entry.c.kind == "expiry"
                    )
                )
                assert owner.balance_micros == self.given[account_id] - spent + int(ended or 0)
                messages = [one.message_id for one in taken if one.message_id]
                assert len(messages) == len(set(messages)), "two charges of one event"


WEIGHTS = {
    "top_up": 9,
    "adjust": 5,
    "grant": 7,
    "void_grant": 2,
    "configure": 1,
    "hold": 6,
    "capture": 4,
    "release": 2,
    "refund": 5,
    "make_codes": 2,
    "void_batch": 1,
    "redeem": 5,
    "budget": 1,
    "expire": 4,
    "change_price": 2,
    "deliver": 14,
}


async def insist(send: Callable[[], Awaitable[Any]]) -> Any:
    for _ in range(TRIES_MAX):
        try:
            return await send()
        except Crash:
            continue
    raise AssertionError("so many crashes in a row are no accident")
