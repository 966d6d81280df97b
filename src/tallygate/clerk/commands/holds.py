"""Holds and refunds: money set aside, taken or let go, and given back."""

from tallygate.clerk.commands import wallet_change as change
from tallygate.clerk.commands.context import DAY_MS, Context, Handlers, bad
from tallygate.core.charging import State
from tallygate.core.errors import Code, Refusal
from tallygate.core.money import MICROS_MAX, format_points
from tallygate.core.wallet import EntryKind, Wallet
from tallygate.core.wallet_commands import (
    CaptureHold,
    HoldView,
    PlaceHold,
    RefundCharge,
    RefundView,
    ReleaseHold,
)
from tallygate.store import budgets, charge_changes, charge_ids, holds, wallet_views

LASTS_MS_MAX = 366 * DAY_MS
OWNER_MAX = 200


async def place(context: Context, wanted: PlaceHold) -> HoldView:
    change.check_micros(wanted.micros)
    change.check_text(wanted.reason, "reason")
    if not 0 < len(wanted.owner) <= OWNER_MAX or "\0" in wanted.owner:
        raise bad(f"owner must have 1 to {OWNER_MAX} characters", "owner")
    if not 0 < wanted.lasts_ms <= LASTS_MS_MAX:
        raise bad("a hold lasts from a moment to a year", "expires_in_s")
    wallet = await change.lock(context, wanted.account_id)
    change.require_free(context, wallet, wanted.micros)
    hold_id = await holds.place(
        context.tx,
        wallet,
        wanted.micros,
        by=wanted.owner,
        expires_ms=context.now_ms + wanted.lasts_ms,
        now_ms=context.now_ms,
        reason=wanted.reason,
        actor=context.actor.name,
    )
    told = {"hold_id": hold_id, "micros": wanted.micros, "owner": wanted.owner}
    await change.write(context, wanted.NAME, wallet, told)
    return await _hold(context, hold_id)


async def capture(context: Context, wanted: CaptureHold) -> HoldView:
    change.check_text(wanted.reason, "reason")
    wallet, found = await _open_hold(context, wanted.hold_id, wanted.owner)
    micros = found.amount_micros if wanted.micros is None else wanted.micros
    if not 0 <= micros <= MICROS_MAX:
        raise bad("points must be 0 or above", "points")
    if micros > found.amount_micros:
        held = format_points(found.amount_micros)
        raise Refusal(Code.IMPOSSIBLE, f"only {held} points are held; charge at most these")
    reason, actor, now_ms = wanted.reason, context.actor.name, context.now_ms
    (charge_id,) = await charge_ids.allocate(context.tx, 1)
    is_done = await holds.end(
        context.tx,
        wallet,
        found.id,
        holds.CAPTURED,
        now_ms,
        charge_id=charge_id,
        reason=reason,
        actor=actor,
    )
    assert is_done, "it was open, and its wallet is locked"
    wallet.charge(micros, now_ms, charge_id, reason=reason, actor=actor)
    await charge_changes.insert_captured(
        context.tx, charge_id, wallet, micros, context.actor.request_id, now_ms
    )
    told = {"hold_id": found.id, "charge_id": charge_id, "micros": micros}
    await change.write(context, wanted.NAME, wallet, told, spent_micros=micros)
    return await _hold(context, found.id)


async def release(context: Context, wanted: ReleaseHold) -> HoldView:
    change.check_text(wanted.reason, "reason")
    wallet, found = await _open_hold(context, wanted.hold_id, wanted.owner)
    is_done = await holds.end(
        context.tx,
        wallet,
        found.id,
        holds.RELEASED,
        context.now_ms,
        reason=wanted.reason,
        actor=context.actor.name,
    )
    assert is_done, "it was open, and its wallet is locked"
    told = {"hold_id": found.id, "micros": found.amount_micros}
    await change.write(context, wanted.NAME, wallet, told)
    return await _hold(context, found.id)


async def refund(context: Context, wanted: RefundCharge) -> RefundView:
    """The money comes back as ordinary money, whatever grants it was paid with."""
    change.check_text(wanted.reason, "reason")
    found = await _charge(context, wanted.charge_id)
    wallet = await change.lock(context, found.account_id)
    found = await _charge(context, wanted.charge_id)  # as it is now that its wallet is locked
    if found.state not in (State.CHARGED, State.REFUNDED):
        raise Refusal(Code.CONFLICT, f"nothing was taken for this charge: it is {found.state}")
    left = found.micros - found.refunded_micros
    micros = left if wanted.micros is None else wanted.micros
    if micros > left or not left:
        raise Refusal(
            Code.IMPOSSIBLE, f"of this charge only {format_points(left)} points are left to refund"
        )
    change.check_micros(micros)
    is_done = await charge_changes.refund(context.tx, found.id, micros)
    assert is_done, "it fits, and its wallet is locked"
    reason, actor, now_ms = wanted.reason, context.actor.name, context.now_ms
    wallet.credit(EntryKind.REFUND, micros, now_ms, reason=reason, actor=actor, charge_id=found.id)
    told = {"charge_id": found.id, "micros": micros, "reason": reason}
    view = await change.write(context, wanted.NAME, wallet, told, subject=f"charge:{found.id}")
    await budgets.note_refunded(context.tx, found.account_id, micros, found.at_ms, now_ms)
    after = await _charge(context, found.id)
    return RefundView(
        charge_id=found.id,
        account_id=found.account_id,
        state=after.state,
        micros=after.micros,
        refunded_micros=after.refunded_micros,
        now_refunded_micros=micros,
        balance_micros=view.balance_micros,
    )


async def _open_hold(context: Context, hold_id: int, owner: str) -> tuple[Wallet, HoldView]:
    found = await _hold(context, hold_id)
    if owner and owner != found.owner:
        raise Refusal(Code.FORBIDDEN, "this hold is somebody else's")
    wallet = await change.lock(context, found.account_id)
    found = await _hold(context, hold_id)  # as it is now that its wallet is locked
    if found.id in wallet.lapsed_holds:
        raise Refusal(Code.CONFLICT, "this hold is expired")
    if found.state != holds.OPEN:
        raise Refusal(Code.CONFLICT, f"this hold is {found.state}")
    return wallet, found


async def _hold(context: Context, hold_id: int) -> HoldView:
    found = await wallet_views.find_hold(context.tx, hold_id)
    if found is None:
        raise Refusal(Code.NOT_FOUND, "no such hold")
    return found


async def _charge(context: Context, charge_id: int) -> charge_changes.Charged:
    found = await charge_changes.find(context.tx, charge_id)
    if found is None:
        raise Refusal(Code.NOT_FOUND, "no such charge")
    return found


HANDLERS: Handlers = {
    PlaceHold: place,
    CaptureHold: capture,
    ReleaseHold: release,
    RefundCharge: refund,
}
