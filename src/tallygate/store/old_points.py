"""Taking over the seed's points system: accounts with opening entries, prices, rates, history.

What was taken over is remembered, so that a repeated import adds only what is new. Old uses become
history: they are shown and never charged, for the balances that came along have paid for them.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from tallygate.core.errors import Code, Refusal
from tallygate.core.points_takeover import OldAccount, OldPrice, OldRate, OldUse, PointsReport
from tallygate.core.price_terms import BadPrice, Written, read_rate, read_terms
from tallygate.core.wallet import EntryKind
from tallygate.store import accounts, prices, wallets
from tallygate.store.database import Tx
from tallygate.store.money_schema import past_usage
from tallygate.store.people_schema import account
from tallygate.store.schema import imported

SOURCE = "supabase"
REASON = "taken over from Supabase"
NAMES_MAX = 500


async def take_accounts(
    tx: Tx, old: Sequence[OldAccount], report: PointsReport, now_ms: int
) -> None:
    for one in old:
        if await _was_taken(tx, f"account:{one.id}"):
            report.known += 1
            continue
        if not await _insert_account(tx, one, report, now_ms):
            continue
        if one.balance_micros:
            wallet = (await wallets.lock_of(tx, [one.id], now_ms))[one.id]
            kind = EntryKind.TOP_UP if one.balance_micros > 0 else EntryKind.OVERAGE
            wallet.credit(
                kind, one.balance_micros, now_ms, reason=f"opening balance, {REASON}", actor=SOURCE
            )
            await wallets.write(tx, [wallet])
        await _remember(tx, f"account:{one.id}", now_ms)
        report.accounts += 1
        report.opening_micros += one.balance_micros


async def _insert_account(tx: Tx, one: OldAccount, report: PointsReport, now_ms: int) -> bool:
    """False when somebody has this id here already; a taken address is left out."""
    known = sa.select(account.c.id).where(account.c.id == one.id)
    if await tx.scalar(known) is not None:
        report.skip("a user whose id is taken here")
        return False
    try:
        await accounts.insert(tx, one.id, now_ms, name=one.name, email=one.email)
    except Refusal as refusal:
        if refusal.code is not Code.CONFLICT:
            raise
        await accounts.insert(tx, one.id, now_ms, name=one.name)
        report.skip("an address that is somebody else's here; the user came without it")
    return True


async def take_prices(tx: Tx, old: Sequence[OldPrice], report: PointsReport, now_ms: int) -> None:
    if old:
        await prices.take_book(tx)
    for one in old:
        if await _was_taken(tx, f"price:{one.model}"):
            report.known += 1
            continue
        written = Written(
            input_token_price=one.input_price,
            output_token_price=one.output_price,
            currency="usd",
            per_tokens=1000,
            is_active=one.is_active,
        )
        try:
            terms = read_terms(written)
        except BadPrice as error:
            report.skip(f"the price of {one.model}: {error}")
            continue
        await prices.insert_version(
            tx,
            one.model,
            terms,
            effective_ms=None,
            now_ms=now_ms,
            actor=SOURCE,
            reason=REASON,
            source=SOURCE,
        )
        await _remember(tx, f"price:{one.model}", now_ms)
        report.prices += 1


async def take_rates(tx: Tx, old: Sequence[OldRate], report: PointsReport, now_ms: int) -> None:
    """In the order of their times; the last one is in effect from now on."""
    if old:
        await prices.take_book(tx)
    for one in old:
        item = f"rate:{one.at_ms}:{one.points}"
        if await _was_taken(tx, item):
            report.known += 1
            continue
        try:
            micros = read_rate(one.points)
        except BadPrice as error:
            report.skip(f"a rate: {error}")
            continue
        await prices.insert_rate(
            tx, micros, now_ms=min(one.at_ms, now_ms), actor=one.actor, reason=one.reason or REASON
        )
        await _remember(tx, item, now_ms)
        report.rates += 1


async def take_uses(tx: Tx, old: Sequence[OldUse], report: PointsReport, now_ms: int) -> None:
    items = {f"use:{one.id}": one for one in old if one.id}
    if len(items) < len(old):
        report.skip("a use without an id, or twice there", len(old) - len(items))
    known = await _known(tx, list(items))
    fresh = {item: one for item, one in items.items() if item not in known}
    report.known += len(items) - len(fresh)
    await tx.insert_many(
        past_usage,
        [
            {
                "tenant_id": 1,
                "account_id": one.account_id,
                "model": one.model,
                "input_tokens": one.input_tokens,
                "output_tokens": one.output_tokens,
                "input_micros": one.input_micros,
                "output_micros": one.output_micros,
                "micros": one.micros,
                "conversation_id": one.conversation_id,
                "message_id": one.message_id,
                "at_ms": one.at_ms,
            }
            for one in fresh.values()
        ],
    )
    rows = [{"source": SOURCE, "item": item, "tenant_id": 1, "at_ms": now_ms} for item in fresh]
    await tx.insert_many(imported, rows)
    report.requests += len(fresh)


async def _known(tx: Tx, items: list[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(items), NAMES_MAX):
        some = items[start : start + NAMES_MAX]
        query = sa.select(imported.c.item).where(
            imported.c.source == SOURCE, imported.c.item.in_(some)
        )
        found.update((await tx.execute(query)).scalars())
    return found


async def _was_taken(tx: Tx, item: str) -> bool:
    return bool(await _known(tx, [item]))


async def _remember(tx: Tx, item: str, now_ms: int) -> None:
    await tx.execute(sa.insert(imported).values(source=SOURCE, item=item, at_ms=now_ms))
