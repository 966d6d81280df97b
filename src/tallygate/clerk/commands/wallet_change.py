"""One change of one wallet: locked, changed in memory, written back, audited, heard of.

Gateways hear of it as of a changed limit (a wallet's limit id is minus its own), so that one that
was refused asks again, and one that has leased much gives back what no request holds.
"""

from collections.abc import Mapping

from tallygate.clerk.commands.context import Context, MoneyLeased, bad
from tallygate.core.errors import Code, Refusal
from tallygate.core.money import MICROS, MICROS_MAX, format_points
from tallygate.core.wallet import Wallet
from tallygate.core.wallet_commands import WalletView
from tallygate.store import budgets, wallet_views, wallets

TEXT_MAX = 500


async def lock(context: Context, account_id: str) -> Wallet:
    found = await wallets.lock_of(context.tx, [account_id], context.now_ms)
    if account_id not in found:
        raise Refusal(Code.NOT_FOUND, "no such user")
    return found[account_id]


async def write(
    context: Context,
    action: str,
    wallet: Wallet,
    told: Mapping[str, object],
    *,
    subject: str = "",
    spent_micros: int = 0,
) -> WalletView:
    """Put the wallet back; `told` is what the audit log says beside how it was before and after."""
    account_id = wallet.account_id
    before = await view_of(context, account_id)
    if wallet.balance_micros > MICROS_MAX:
        raise Refusal(Code.IMPOSSIBLE, f"a balance is at most {MICROS_MAX // MICROS} points")
    changes = [entry.amount_micros for entry in wallet.entries]
    await wallets.write(context.tx, [wallet])
    after = await view_of(context, account_id)
    if spent_micros:
        await budgets.note_spent(context.tx, {account_id: spent_micros}, context.now_ms)
    elif (dropped := -sum(changes)) > 0:
        await budgets.note_dropped(context.tx, {account_id: dropped}, context.now_ms)
    await audit(context, action, subject or f"wallet:{account_id}", before, after, told)
    context.publish("limit", -wallet.id)
    return after


async def view_of(context: Context, account_id: str) -> WalletView:
    view = await wallet_views.find_wallet(context.tx, account_id)
    if view is None:
        raise Refusal(Code.NOT_FOUND, "no such user")
    return view


async def audit(
    context: Context,
    action: str,
    subject: str,
    before: WalletView,
    after: WalletView,
    told: Mapping[str, object],
) -> None:
    figures = ("balance_micros", "held_micros", "granted_micros", "floor_micros", "warn_micros")
    was, now = ({name: getattr(view, name) for name in figures} for view in (before, after))
    await context.audit(action, subject, was, {**now, "account_id": after.account_id, **told})


def can_pay(context: Context, wallet: Wallet, micros: int, down_to_micros: int = 0) -> bool:
    """Whether so much is free; MoneyLeased if it may be once gateways give back what they lease."""
    if wallet.can_pay(micros, down_to_micros=down_to_micros):
        return True
    if wallet.can_pay(micros - wallet.leased_micros, down_to_micros=down_to_micros):
        recall_for(context, wallet, micros)
    return False


def recall_for(context: Context, wallet: Wallet, micros: int) -> None:
    """Have gateways asked, unless they were or have nothing, or so much is free without it."""
    if context.may_recall and wallet.leased_micros and not wallet.can_pay(micros):
        raise MoneyLeased(wallet.id, short(wallet))


def require_free(context: Context, wallet: Wallet, micros: int, down_to_micros: int = 0) -> None:
    """Refuse what would take more than nobody holds or has leased."""
    if not can_pay(context, wallet, micros, down_to_micros):
        raise short(wallet, down_to_micros)


def short(wallet: Wallet, down_to_micros: int = 0) -> Refusal:
    free = format_points(max(0, wallet.free_micros - down_to_micros))
    others = format_points(wallet.held_micros + wallet.leased_micros)
    said = f"only {free} points are free in this wallet"
    if wallet.held_micros or wallet.leased_micros:
        said += f"; {others} are held or leased to gateways"
    return Refusal(Code.INSUFFICIENT_BALANCE, said)


def check_micros(micros: int, param: str = "points", least: int = 1) -> None:
    if not least <= micros <= MICROS_MAX:
        raise bad(f"{param} must be above 0 and at most {MICROS_MAX // MICROS}", param)


def check_text(text: str, param: str) -> None:
    if len(text) > TEXT_MAX or "\0" in text:
        raise bad(f"{param} must have at most {TEXT_MAX} characters, none of them null", param)
