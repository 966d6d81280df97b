"""The commands that move or set aside money, and what they answer.

Amounts are micro-points. `account_id` is whose wallet it is. A hold may be captured or released
only by its `owner`; an operator who names none may end any.
"""

import msgspec
from msgspec import UNSET, UnsetType

from tallygate.core.commands import Arguments

# --- wallets ---


class TopUpWallet(Arguments):
    """→ WalletView."""

    NAME = "wallet.top_up"
    account_id: str
    micros: int
    reason: str = ""


class AdjustWallet(Arguments):
    """Correct a balance, up or down. → WalletView.

    Down to the wallet's floor, and never what is held or leased, unless it is forced.
    """

    NAME = "wallet.adjust"
    account_id: str
    micros: int
    reason: str = ""
    is_forced: bool = False


class GrantPoints(Arguments):
    """Money with a priority and perhaps an end. → GrantView."""

    NAME = "wallet.grant"
    account_id: str
    micros: int
    reason: str = ""
    category: str = "promotional"
    priority: int = 0
    expires_ms: int | None = None


class VoidGrant(Arguments):
    """End a grant now; what is held or leased of it ends when it is let go. → GrantView."""

    NAME = "wallet.void_grant"
    grant_id: int
    reason: str = ""


class ConfigureWallet(Arguments):
    """→ WalletView."""

    NAME = "wallet.configure"
    account_id: str
    floor_micros: int | UnsetType = UNSET
    warn_micros: int | UnsetType | None = UNSET


# --- holds ---


class PlaceHold(Arguments):
    """Set money aside. → HoldView."""

    NAME = "hold.place"
    account_id: str
    micros: int
    owner: str
    lasts_ms: int
    reason: str = ""


class CaptureHold(Arguments):
    """Charge a hold, or a part of it; the rest is free again. → HoldView with `charge_id`."""

    NAME = "hold.capture"
    hold_id: int
    micros: int | None = None
    owner: str = ""
    reason: str = ""


class ReleaseHold(Arguments):
    """→ HoldView."""

    NAME = "hold.release"
    hold_id: int
    owner: str = ""
    reason: str = ""


class RefundCharge(Arguments):
    """Give back a charge, or a part of it; None: all that is not given back yet. → RefundView."""

    NAME = "charge.refund"
    charge_id: int
    micros: int | None = None
    reason: str = ""


# --- codes ---


class CreateBatch(Arguments):
    """Make codes. → BatchView with `codes`, which are never shown again."""

    NAME = "redeem.create"
    count: int
    micros: int
    label: str = ""
    expires_ms: int | None = None
    grant_days: int | None = None


class VoidBatch(Arguments):
    """No code of it can be redeemed any more. → BatchView."""

    NAME = "redeem.void"
    batch_id: int


class RedeemCode(Arguments):
    """→ RedeemedView. Whatever is wrong with a code, the refusal is the same."""

    NAME = "redeem.redeem"
    account_id: str
    code: str


# --- budgets ---


class CreateBudget(Arguments):
    """→ BudgetView."""

    NAME = "budget.create"
    subject_kind: str
    subject_id: str
    span: str
    micros: int
    zone: str | None = None  # None: TALLYGATE_TIME_ZONE


class PatchBudget(Arguments):
    """→ BudgetView."""

    NAME = "budget.patch"
    budget_id: int
    micros: int


class DeleteBudget(Arguments):
    """→ BudgetView."""

    NAME = "budget.delete"
    budget_id: int


# --- answers ---


class WalletView(msgspec.Struct, kw_only=True):
    """A wallet as it stands."""

    id: int
    account_id: str
    balance_micros: int
    held_micros: int
    leased_micros: int
    granted_micros: int
    floor_micros: int
    warn_micros: int | None
    created_ms: int

    @property
    def free_micros(self) -> int:
        return self.balance_micros - self.held_micros - self.leased_micros


class GrantView(msgspec.Struct, kw_only=True):
    id: int
    account_id: str
    category: str
    priority: int
    amount_micros: int
    left_micros: int
    expires_ms: int | None
    voided_ms: int | None
    created_ms: int


class HoldView(msgspec.Struct, kw_only=True):
    """`state` is open, captured, released or expired."""

    id: int
    account_id: str
    amount_micros: int
    owner: str
    state: str
    charge_id: int | None
    reason: str
    created_ms: int
    expires_ms: int


class RefundView(msgspec.Struct, kw_only=True):
    """What of a charge was given back now, and in all."""

    charge_id: int
    account_id: str
    state: str
    micros: int
    refunded_micros: int
    now_refunded_micros: int
    balance_micros: int


class BatchView(msgspec.Struct, kw_only=True):
    """`codes` only in the answer to its making."""

    id: int
    label: str
    amount_micros: int
    count: int
    redeemed: int
    expires_ms: int | None
    grant_days: int | None
    voided_ms: int | None
    created_ms: int
    codes: list[str] | None = None


class RedeemedView(msgspec.Struct, kw_only=True):
    account_id: str
    batch_id: int
    amount_micros: int
    balance_micros: int


class BudgetView(msgspec.Struct, kw_only=True):
    """`spent_micros` in the window that `window_s` starts."""

    id: int
    subject_kind: str
    subject_id: str
    span: str
    zone: str
    amount_micros: int
    spent_micros: int
    window_s: int
    told_percent: int
    created_ms: int
