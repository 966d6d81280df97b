"""When a budget or a balance is worth a word, and what is said."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tallygate.core.money import format_points
from tallygate.core.wallet_commands import BudgetView

PERCENTS: Final = (100, 80, 50)
LOW_BALANCE: Final = "wallet.low"
BUDGET_REACHED: Final = "budget.reached"
TEAM_BUDGET_REACHED: Final = "team_budget.reached"  # the same, for one of its members
OF_MEMBERS: Final = (TEAM_BUDGET_REACHED,)  # operators have heard of it by a notice of their own


class NewNotice(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody should hear of. `data` is for programs."""

    kind: str
    account_id: str | None
    title: str
    body: str
    data: Mapping[str, Any]


def reached(spent_micros: int, amount_micros: int) -> int:
    """The highest of the told percentages that is spent; 0: none."""
    of_it = (percent for percent in PERCENTS if spent_micros * 100 >= amount_micros * percent)
    return next(of_it, 0)


def low_balance(account_id: str, balance_micros: int, warn_micros: int) -> NewNotice:
    balance, level = format_points(balance_micros), format_points(warn_micros)
    return NewNotice(
        kind=LOW_BALANCE,
        account_id=account_id,
        title=f"Balance of {account_id} is low: {balance} points",
        body=f"The balance of {account_id} fell below {level} points; it is {balance} now.",
        data={
            "user_id": account_id,
            **points("balance", balance_micros),
            **points("warn_below", warn_micros),
        },
    )


def reached_notice(budget: BudgetView, percent: int) -> NewNotice:
    spent, amount = format_points(budget.spent_micros), format_points(budget.amount_micros)
    whose = f"{budget.subject_kind} {budget.subject_id}"
    per = "in total" if budget.span == "total" else f"per {budget.span}"
    return NewNotice(
        kind=BUDGET_REACHED,
        account_id=budget.subject_id if budget.subject_kind == "user" else None,
        title=f"Budget of {whose}: {percent} % spent",
        body=f"{whose} has spent {spent} of {amount} points {per}.",
        data={
            "budget_id": budget.id,
            f"{budget.subject_kind}_id": budget.subject_id,
            "span": budget.span,
            "percent": percent,
            **points("spent", budget.spent_micros),
            **points("amount", budget.amount_micros),
        },
    )


def member_notice(told: NewNotice, team_name: str, account_id: str) -> NewNotice:
    """What a member of the team hears of the budget that operators were told of."""
    data = {**told.data, "user_id": account_id, "team_name": team_name}
    return msgspec.structs.replace(told, kind=TEAM_BUDGET_REACHED, account_id=account_id, data=data)


def points(name: str, micros: int) -> dict[str, object]:
    """An amount as our answers bear it: a number of points, and the exact integer beside it."""
    return {name: msgspec.Raw(format_points(micros).encode()), f"{name}_micros": micros}
