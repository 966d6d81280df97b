"""Charges that wait for somebody: unpaid ones are settled, large ones approved, either rejected."""

from tallygate.clerk.commands import wallet_change as change
from tallygate.clerk.commands.context import Context, Handlers
from tallygate.core.billing_commands import (
    ApproveCharge,
    ChargeView,
    RejectCharge,
    SettleAccount,
    SettleCharge,
    Settled,
)
from tallygate.core.charging import State, consumption_id
from tallygate.core.errors import Code, Refusal
from tallygate.core.wallet import Wallet
from tallygate.store import charge_rows, charge_views, wallets
from tallygate.store.charge_rows import Row

AT_ONCE_MAX = 500

_CHARGED, _UNPAID = State.CHARGED.value, State.UNPAID.value
_REVIEW, _REJECTED = State.REVIEW.value, State.REJECTED.value


async def settle(context: Context, wanted: SettleCharge) -> ChargeView:
    row, wallet = await _lock(context, wanted.charge_id)
    _require(row, _UNPAID)
    change.require_free(context, wallet, row.micros, _down_to(context, wallet))
    return await _pay(context, wanted.NAME, row, wallet, "")


async def settle_account(context: Context, wanted: SettleAccount) -> Settled:
    """One that is too large for what is left does not keep smaller ones from being paid."""
    wallet = await change.lock(context, wanted.account_id)
    ids = await charge_views.open_ids(context.tx, wanted.account_id, limit=AT_ONCE_MAX)
    rows = await charge_rows.read_many(context.tx, ids)
    paid: list[Row] = []
    for _, row in sorted(rows.items()):
        if change.can_pay(context, wallet, row.micros, _down_to(context, wallet)):
            _charge(context, row, wallet)
            paid.append(row)
    await charge_rows.update(context.tx, paid)
    micros = sum(row.micros for row in paid)
    told = {"paid": [consumption_id(row.id) for row in paid], "micros": micros}
    await change.write(context, wanted.NAME, wallet, told, spent_micros=micros)
    unpaid, unpaid_micros = await charge_views.unpaid(context.tx, wanted.account_id)
    return Settled(
        account_id=wanted.account_id,
        paid=len(paid),
        paid_micros=micros,
        unpaid=unpaid,
        unpaid_micros=unpaid_micros,
    )


async def approve(context: Context, wanted: ApproveCharge) -> ChargeView:
    """Its size was the only question; without money it is unpaid like any other."""
    change.check_text(wanted.reason, "reason")
    row, wallet = await _lock(context, wanted.charge_id)
    _require(row, _REVIEW)
    if change.can_pay(context, wallet, row.micros, _down_to(context, wallet)):
        return await _pay(context, wanted.NAME, row, wallet, wanted.reason)
    return await _turn(context, wanted.NAME, row, wallet, _UNPAID, wanted.reason)


async def reject(context: Context, wanted: RejectCharge) -> ChargeView:
    change.check_text(wanted.reason, "reason")
    row, wallet = await _lock(context, wanted.charge_id)
    _require(row, _UNPAID, _REVIEW)
    return await _turn(context, wanted.NAME, row, wallet, _REJECTED, wanted.reason)


async def _lock(context: Context, charge_id: int) -> tuple[Row, Wallet]:
    """The charge as it is once its wallet is locked: nobody else changes it then."""
    found = await charge_rows.read(context.tx, charge_id)
    if found is None:
        raise Refusal(Code.NOT_FOUND, "no such charge")
    wallet = await change.lock(context, found.account_id)
    row = await charge_rows.read(context.tx, charge_id)
    assert row is not None, "charges are never deleted"
    return row, wallet


def _require(row: Row, *states: str) -> None:
    if row.state not in states:
        wanted = " or ".join(states)
        raise Refusal(Code.CONFLICT, f"this charge is {row.state}; only {wanted} ones can be")


def _down_to(context: Context, wallet: Wallet) -> int:
    return wallet.floor_micros if context.options.may_overdraw else 0


def _charge(context: Context, row: Row, wallet: Wallet, reason: str = "") -> None:
    wallet.charge(row.micros, context.now_ms, row.id, reason=reason, actor=context.actor.name)
    row.state = _CHARGED
    row.balance_micros = wallet.balance_micros


async def _pay(context: Context, action: str, row: Row, wallet: Wallet, reason: str) -> ChargeView:
    before = row.state
    _charge(context, row, wallet, reason)
    await charge_rows.update(context.tx, [row])
    told = {"from": before, "to": row.state, "micros": row.micros, "reason": reason}
    subject = f"charge:{consumption_id(row.id)}"
    await change.write(context, action, wallet, told, subject=subject, spent_micros=row.micros)
    return charge_views.view_of(row)


async def _turn(
    context: Context, action: str, row: Row, wallet: Wallet, state: str, reason: str
) -> ChargeView:
    """Another state, and no money."""
    before, row.state = row.state, state
    await charge_rows.update(context.tx, [row])
    await wallets.write(context.tx, [wallet])  # holds and grants that have ended meanwhile
    subject = f"charge:{consumption_id(row.id)}"
    await context.audit(action, subject, {"state": before}, {"state": state, "reason": reason})
    return charge_views.view_of(row)


HANDLERS: Handlers = {
    SettleCharge: settle,
    SettleAccount: settle_account,
    ApproveCharge: approve,
    RejectCharge: reject,
}
