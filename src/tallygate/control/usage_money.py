"""What usage says of money to come: when balances and budgets end, and which models cost less."""

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from tallygate.control.amounts import Points, points
from tallygate.control.bodies import rfc3339
from tallygate.control.usage_charts import Answer, frame
from tallygate.control.usage_figures import Named, named
from tallygate.control.usage_question import Asked
from tallygate.core import advice as advising
from tallygate.core.advice import Mix, advise_most
from tallygate.core.forecast import days_left
from tallygate.core.pricing import Prices
from tallygate.core.rollup import SUMS, Row
from tallygate.core.wallet_commands import BudgetView
from tallygate.core.windows import Span, window_at
from tallygate.store import budgets, usage_money, usage_views
from tallygate.store.analytics import Per, sums

DAY_MS = 86_400_000
ELAPSED_S_MIN = 3600  # what a window spent in its first minutes says nothing

_AT = {name: number for number, name in enumerate(SUMS)}


class BalanceEnd(msgspec.Struct, kw_only=True):
    """`days_left` null: at this pace no end is in sight. `spent` within the window."""

    user_id: str
    name: str
    available: Points
    available_micros: int
    spent: Points
    spent_micros: int
    days_left: float | None
    empty_at: str | None


class BudgetEnd(msgspec.Struct, kw_only=True):
    """A budget's present window, at its pace until now; `lasts` says whether to its end."""

    budget_id: str
    subject_kind: str
    subject_id: str
    span: str
    amount: Points
    amount_micros: int
    spent: Points
    spent_micros: int
    days_left: float | None
    lasts: bool
    empty_at: str | None


class Forecast(Answer, kw_only=True):
    """What ends soonest comes first."""

    balances: list[BalanceEnd]
    budgets: list[BudgetEnd]


class CheaperModel(msgspec.Struct, kw_only=True):
    model: str
    points: Points
    points_micros: int
    saved_percent: float


class TokenAdvice(msgspec.Struct, kw_only=True):
    """One model that a key uses, and those that would have cost less for the same tokens.

    `points` by the prices of now, also where nobody was charged.
    """

    token: Named
    model: str
    uses: int
    input_tokens: int
    output_tokens: int
    points: Points
    points_micros: int
    cheaper: list[CheaperModel]


class Advice(Answer, kw_only=True):
    """The greatest saving first. Only models that are in use here or that a provider lists are
    named, and only those that the key may use; how good they are is not known here.
    """

    items: list[TokenAdvice]


async def forecast(asked: Asked) -> Forecast:
    user_id = asked.filter.user_id
    found = await usage_money.balances(asked.tx, asked.window.start_s * 1000, user_id)
    over_s = asked.now_ms // 1000 - asked.window.start_s
    ends = [_balance_end(one, over_s, asked.now_ms) for one in found]
    subject = None if user_id is None else (budgets.USER, user_id)
    views = await budgets.list_budgets(asked.tx, subject)
    of_budgets = [_budget_end(view, asked.now_ms) for view in views]
    return Forecast(
        **frame(asked),
        balances=sorted(ends, key=lambda one: (_far(one.days_left), one.user_id))[: asked.limit],
        budgets=sorted(of_budgets, key=lambda one: _far(one.days_left))[: asked.limit],
    )


def _far(days: float | None) -> float:
    return float("inf") if days is None else days


def _balance_end(one: usage_money.Balance, over_s: int, now_ms: int) -> BalanceEnd:
    # An account that is younger than the window has had less time to spend.
    over_s = max(ELAPSED_S_MIN, min(over_s, (now_ms - one.created_ms) // 1000))
    left = days_left(one.available_micros, one.spent_micros, over_s)
    return BalanceEnd(
        user_id=one.account_id,
        name=one.name,
        available=points(one.available_micros),
        available_micros=one.available_micros,
        spent=points(one.spent_micros),
        spent_micros=one.spent_micros,
        days_left=left,
        empty_at=_after(left, now_ms),
    )


def _budget_end(view: BudgetView, now_ms: int) -> BudgetEnd:
    start_s, end_s = window_at(Span(view.span), view.zone, now_ms // 1000)
    spent = view.spent_micros if view.window_s == start_s else 0
    since_s = max(start_s, view.created_ms // 1000)
    elapsed_s = max(ELAPSED_S_MIN, now_ms // 1000 - since_s)
    left = days_left(view.amount_micros - spent, spent, elapsed_s)
    lasts = left is None or now_ms // 1000 + left * 86_400 >= end_s
    return BudgetEnd(
        budget_id=str(view.id),
        subject_kind=view.subject_kind,
        subject_id=view.subject_id,
        span=view.span,
        amount=points(view.amount_micros),
        amount_micros=view.amount_micros,
        spent=points(spent),
        spent_micros=spent,
        days_left=left,
        lasts=lasts,
        empty_at=_after(left, now_ms),
    )


def _after(days: float | None, now_ms: int) -> str | None:
    return None if days is None else rfc3339(now_ms + int(days * DAY_MS))


async def advice(asked: Asked, prices: Prices) -> Advice:
    wanted = replace(asked.filter, has_model=True)
    used = await sums(asked.tx, asked.reach, asked.window, wanted, Per.KEY, Per.MODEL, names=MIX)
    mixes = {(key_id, model): _mix(row) for (key_id, model), row in used.items()}
    candidates = {model for _, model in mixes} | await usage_money.listed_models(asked.tx)
    lists = await usage_views.model_lists(asked.tx, {key_id for key_id, _ in mixes})

    def allowed(key_id: int) -> Iterable[str]:
        listed = lists.get(key_id)
        if listed is None:
            return candidates
        own = {model for of_key, model in mixes if of_key == key_id}
        return own | (candidates & set(msgspec.json.decode(listed, type=list[str])))

    found = advise_most(mixes, allowed, prices, asked.now_ms, asked.limit)
    who = await usage_views.names(asked.tx, {key_id for key_id, _ in found})
    items = [_advice_of(named(key_id, who.get(key_id)), one) for key_id, one in found]
    return Advice(**frame(asked), items=items)


def _advice_of(token: Named, one: advising.Advice) -> TokenAdvice:
    cheaper = [
        CheaperModel(
            model=other.model,
            points=points(other.micros),
            points_micros=other.micros,
            saved_percent=round(100 - 100 * other.micros / one.micros, 1),
        )
        for other in one.cheaper
    ]
    return TokenAdvice(
        token=token,
        model=one.model,
        uses=one.mix.uses,
        input_tokens=one.mix.input_tokens,
        output_tokens=one.mix.output_tokens,
        points=points(one.micros),
        points_micros=one.micros,
        cheaper=cheaper,
    )


MIX = ("uses", "input_tokens", "output_tokens", "cached_tokens")


def _mix(row: Row) -> Mix:
    return Mix(*(row[_AT[name]] for name in MIX))
