"""Wallets: topped up, adjusted, granted money, configured."""

from tallygate.clerk.commands import wallet_change as change
from tallygate.clerk.commands.context import Context, Handlers, bad
from tallygate.core.errors import Code, Refusal
from tallygate.core.money import MICROS, MICROS_MAX
from tallygate.core.wallet import EntryKind, Lot
from tallygate.core.wallet_commands import (
    AdjustWallet,
    ConfigureWallet,
    GrantPoints,
    GrantView,
    TopUpWallet,
    VoidGrant,
    WalletView,
)
from tallygate.store import holds, wallet_views, wallets

CATEGORIES = ("paid", "promotional")
PRIORITY_MAX = 1000


async def top_up(context: Context, wanted: TopUpWallet) -> WalletView:
    change.check_micros(wanted.micros)
    change.check_text(wanted.reason, "reason")
    wallet = await change.lock(context, wanted.account_id)
    wallet.credit(
        EntryKind.TOP_UP,
        wanted.micros,
        context.now_ms,
        reason=wanted.reason,
        actor=context.actor.name,
    )
    told = {"micros": wanted.micros, "reason": wanted.reason}
    return await change.write(context, wanted.NAME, wallet, told)


async def adjust(context: Context, wanted: AdjustWallet) -> WalletView:
    """What is forced below zero is an overage, as with a charge: it shows in the ledger."""
    if wanted.micros == 0:
        raise bad("points must not be 0", "points")
    change.check_micros(abs(wanted.micros))
    change.check_text(wanted.reason, "reason")
    wallet = await change.lock(context, wanted.account_id)
    if wanted.micros < 0:
        micros, floor_micros = -wanted.micros, wallet.floor_micros
        if not change.can_pay(context, wallet, micros, floor_micros) and not wanted.is_forced:
            raise change.short(wallet, floor_micros)
    if wallet.balance_micros + wanted.micros < -MICROS_MAX:
        raise Refusal(Code.IMPOSSIBLE, f"a debt is at most {MICROS_MAX // MICROS} points")
    wallet.credit(
        EntryKind.ADJUST,
        wanted.micros,
        context.now_ms,
        reason=wanted.reason,
        actor=context.actor.name,
    )
    told = {"micros": wanted.micros, "reason": wanted.reason, "is_forced": wanted.is_forced}
    return await change.write(context, wanted.NAME, wallet, told)


async def grant(context: Context, wanted: GrantPoints) -> GrantView:
    change.check_micros(wanted.micros)
    change.check_text(wanted.reason, "reason")
    if wanted.category not in CATEGORIES:
        raise bad(f"category must be one of {', '.join(CATEGORIES)}", "category")
    if abs(wanted.priority) > PRIORITY_MAX:
        raise bad(f"priority must be from {-PRIORITY_MAX} to {PRIORITY_MAX}", "priority")
    if wanted.expires_ms is not None and not context.now_ms < wanted.expires_ms <= MICROS_MAX:
        raise bad("expires_at must be a time to come", "expires_at")
    wallet = await change.lock(context, wanted.account_id)
    grant_id = await holds.insert_grant(
        context.tx,
        wallet,
        wanted.micros,
        category=wanted.category,
        priority=wanted.priority,
        expires_ms=wanted.expires_ms,
        now_ms=context.now_ms,
    )
    lot = Lot(grant_id, wanted.priority, wanted.expires_ms, wanted.micros)
    wallet.grant(lot, context.now_ms, reason=wanted.reason, actor=context.actor.name)
    told = {"micros": wanted.micros, "reason": wanted.reason, "grant_id": grant_id}
    await change.write(context, wanted.NAME, wallet, told)
    return await _grant(context, grant_id)


async def void_grant(context: Context, wanted: VoidGrant) -> GrantView:
    change.check_text(wanted.reason, "reason")
    found = await _grant(context, wanted.grant_id)
    wallet = await change.lock(context, found.account_id)
    found = await _grant(context, wanted.grant_id)  # as it is now that its wallet is locked
    if found.voided_ms is not None:
        raise Refusal(Code.CONFLICT, "this grant is void already")
    for lot in wallet.lots:
        if lot.grant_id == found.id:
            change.recall_for(context, wallet, lot.left_micros)
            lot.expires_ms = context.now_ms
    wallet.expire(context.now_ms, reason=wanted.reason, actor=context.actor.name)
    await holds.end_grant(context.tx, found.id, context.now_ms)
    told = {"grant_id": found.id, "reason": wanted.reason}
    await change.write(context, wanted.NAME, wallet, told)
    return await _grant(context, found.id)


async def configure(context: Context, wanted: ConfigureWallet) -> WalletView:
    given = {
        name: value
        for name in ("floor_micros", "warn_micros")
        if isinstance(value := getattr(wanted, name), int | None)
    }
    floor_micros, warn_micros = given.get("floor_micros", 0), given.get("warn_micros")
    if floor_micros is None or not -MICROS_MAX <= floor_micros <= 0:
        raise bad("floor must be 0 or below: how far the wallet may be overdrawn", "floor")
    if warn_micros is not None and not 0 <= warn_micros <= MICROS_MAX:
        raise bad("warn_below must be 0 or above", "warn_below")
    wallet = await change.lock(context, wanted.account_id)
    before = await change.view_of(context, wanted.account_id)
    await wallets.configure(context.tx, wallet.id, given)
    await wallets.write(context.tx, [wallet])
    after = await change.view_of(context, wanted.account_id)
    await change.audit(context, wanted.NAME, f"wallet:{wanted.account_id}", before, after, {})
    context.publish("limit", -wallet.id)
    return after


async def _grant(context: Context, grant_id: int) -> GrantView:
    found = await wallet_views.find_grant(context.tx, grant_id)
    if found is None:
        raise Refusal(Code.NOT_FOUND, "no such grant")
    return found


HANDLERS: Handlers = {
    TopUpWallet: top_up,
    AdjustWallet: adjust,
    GrantPoints: grant,
    VoidGrant: void_grant,
    ConfigureWallet: configure,
}
