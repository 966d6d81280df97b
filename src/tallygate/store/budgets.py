"""Budgets and warning levels: what was spent against them, and who is told.

A budget refuses nothing: it tells when 50, 80 and 100 percent of it are spent, once per window. A
jump over several of these is one notice, of the highest. `note_spent` belongs into the transaction
of the charges, after their wallets were written; without budgets and levels it is one query.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import sqlalchemy as sa

from tallygate.core.budget import NewNotice, low_balance, member_notice, reached, reached_notice
from tallygate.core.wallet_commands import BudgetView
from tallygate.core.windows import Span, window_at
from tallygate.store import notices
from tallygate.store.database import Tx
from tallygate.store.money_schema import budget, wallet
from tallygate.store.people_schema import account, member, team
from tallygate.store.tx import BulkRead
from tallygate.store.wallets import NAMES_MAX

USER, TEAM = "user", "team"  # subject_kind

_OF: sa.BindParameter[str] = sa.bindparam("accounts", expanding=True)
_LEVELS = sa.select(
    *(wallet.c.account_id, sa.literal(0).label("budget_id")),
    *(sa.literal("").label("span"), sa.literal("").label("zone")),
    *(wallet.c.balance_micros, wallet.c.warn_micros),
).where(wallet.c.account_id.in_(_OF), wallet.c.warn_micros.is_not(None))
_BUDGETS = (budget.c.id, budget.c.span, budget.c.zone, sa.literal(0), sa.literal(0))
_OF_USERS = sa.select(budget.c.subject_id, *_BUDGETS).where(
    budget.c.subject_kind == USER, budget.c.subject_id.in_(_OF), budget.c.deleted_ms.is_(None)
)
_OF_TEAMS = (
    sa.select(member.c.account_id, *_BUDGETS)
    .join(budget, budget.c.subject_id == member.c.team_id)
    .where(
        budget.c.subject_kind == TEAM, member.c.account_id.in_(_OF), budget.c.deleted_ms.is_(None)
    )
)
_WATCHED = sa.union_all(_LEVELS, _OF_USERS, _OF_TEAMS)


# Whether anybody asked to be told of anything; for who asks the store for more at once.
_IS_WATCHED = (
    "SELECT EXISTS (SELECT 1 FROM budget WHERE deleted_ms IS NULL)"
    " OR EXISTS (SELECT 1 FROM wallet WHERE warn_micros IS NOT NULL)"
)
IS_WATCHED = BulkRead(_IS_WATCHED, _IS_WATCHED)


async def note_spent(tx: Tx, spent: Mapping[str, int], now_ms: int) -> None:
    """Micro-points were spent by these accounts; tell who asked to be told."""
    await _note(tx, _WATCHED, spent, now_ms)


async def note_dropped(tx: Tx, dropped: Mapping[str, int], now_ms: int) -> None:
    """Balances fell by something that is no spending: an adjustment, the end of a grant."""
    await _note(tx, _LEVELS, dropped, now_ms)


async def _note(tx: Tx, query: Any, spent: Mapping[str, int], now_ms: int) -> None:
    """`query` is a select or a union of some."""
    written: list[NewNotice] = []
    against: dict[int, int] = {}
    spans: dict[int, tuple[str, str]] = {}
    rest = iter(sorted(account_id for account_id, micros in spent.items() if micros > 0))
    while some := list(islice(rest, NAMES_MAX)):
        for row in await tx.execute(query, {"accounts": some}):
            account_id, budget_id, span, zone, balance_micros, warn_micros = tuple(row)
            if budget_id:
                against[budget_id] = against.get(budget_id, 0) + spent[account_id]
                spans[budget_id] = (span, zone)
            elif balance_micros < warn_micros <= balance_micros + spent[account_id]:
                written.append(low_balance(account_id, balance_micros, warn_micros))
    for budget_id, micros in sorted(against.items()):  # locked in one order by everyone
        written += await _spend(tx, budget_id, micros, _window(*spans[budget_id], now_ms))
    await notices.insert(tx, written, now_ms)


def _window(span: str, zone: str, now_ms: int) -> int:
    return window_at(Span(span), zone, now_ms // 1000)[0]


# A clock that is a little behind counts in the window that has begun already.
_IS_SAME = budget.c.window_s >= sa.bindparam("at_window", type_=sa.BigInteger)
_MICROS = sa.bindparam("micros", type_=sa.BigInteger)
_SPEND = (
    sa.update(budget)
    .where(budget.c.id == sa.bindparam("of_budget"), budget.c.deleted_ms.is_(None))
    .values(
        spent_micros=sa.case((_IS_SAME, budget.c.spent_micros + _MICROS), else_=_MICROS),
        told_percent=sa.case((_IS_SAME, budget.c.told_percent), else_=0),
        window_s=sa.case((_IS_SAME, budget.c.window_s), else_=sa.bindparam("at_window")),
    )
    .returning(*(budget.c[name] for name in BudgetView.__struct_fields__))
)


async def _spend(tx: Tx, budget_id: int, micros: int, window_s: int) -> Iterable[NewNotice]:
    names = {"of_budget": budget_id, "micros": micros, "at_window": window_s}
    row = (await tx.execute(_SPEND, names)).first()
    if row is None:
        return ()
    now = BudgetView(**row._mapping)
    percent = reached(now.spent_micros, now.amount_micros)
    if percent <= now.told_percent:
        return ()
    await _set(tx, budget_id, told_percent=percent)
    told = reached_notice(now, percent)
    return (told, *await _for_members(tx, told, now))


_MEMBERS = (
    sa.select(team.c.name, member.c.account_id)
    .join(member, member.c.team_id == team.c.id)
    .join(account, account.c.id == member.c.account_id)
    .where(team.c.id == sa.bindparam("of_team"), account.c.is_active)
    .order_by(member.c.account_id)
)


async def _for_members(tx: Tx, told: NewNotice, of: BudgetView) -> list[NewNotice]:
    """Each of those who are in the team by now, if it is a team's."""
    if of.subject_kind != TEAM:
        return []
    rows = await tx.execute(_MEMBERS, {"of_team": of.subject_id})
    return [member_notice(told, row.name, row.account_id) for row in rows]


async def note_refunded(tx: Tx, account_id: str, micros: int, charged_ms: int, now_ms: int) -> None:
    """A refund makes room again in the windows that its charge was counted in."""
    rows = [tuple(row) for row in await tx.execute(_WATCHED, {"accounts": [account_id]})]
    for _, budget_id, span, zone, *_ in sorted(rows, key=lambda row: int(row[1])):
        window_s = _window(span, zone, now_ms) if budget_id else 0
        if not budget_id or _window(span, zone, charged_ms) != window_s:
            continue
        left = budget.c.spent_micros - micros
        await tx.execute(
            sa.update(budget)
            .where(budget.c.id == budget_id, budget.c.window_s == window_s)
            .values(spent_micros=sa.case((left > 0, left), else_=0))
        )


# --- their own rows ---

_SHOWN = sa.select(*(budget.c[name] for name in BudgetView.__struct_fields__))


async def insert(
    tx: Tx, kind: str, subject_id: str, span: str, zone: str, micros: int, now_ms: int
) -> int:
    values = {
        "subject_kind": kind,
        "subject_id": subject_id,
        "span": span,
        "zone": zone,
        "amount_micros": micros,
        "window_s": _window(span, zone, now_ms),
        "spent_micros": 0,
        "told_percent": 0,
        "created_ms": now_ms,
    }
    return int(await tx.scalar(sa.insert(budget).returning(budget.c.id), values))


async def subject_exists(tx: Tx, kind: str, subject_id: str) -> bool:
    of_kind = {USER: account, TEAM: team}[kind]
    return await tx.scalar(sa.select(of_kind.c.id).where(of_kind.c.id == subject_id)) is not None


async def find(tx: Tx, budget_id: int, *, is_locked: bool = False) -> BudgetView | None:
    query = _SHOWN.where(budget.c.id == budget_id, budget.c.deleted_ms.is_(None))
    row = (await tx.execute(query.with_for_update() if is_locked else query)).first()
    return None if row is None else BudgetView(**row._mapping)


async def list_budgets(tx: Tx, subject: tuple[str, str] | None = None) -> list[BudgetView]:
    query = _SHOWN.where(budget.c.deleted_ms.is_(None)).order_by(budget.c.id)
    if subject is not None:
        query = query.where(budget.c.subject_kind == subject[0], budget.c.subject_id == subject[1])
    return [BudgetView(**row._mapping) for row in await tx.execute(query)]


async def change_amount(tx: Tx, now: BudgetView, micros: int) -> None:
    """What it has told of stays told, as far as it is still so under the new amount."""
    percent = min(now.told_percent, reached(now.spent_micros, micros))
    await _set(tx, now.id, amount_micros=micros, told_percent=percent)


async def delete(tx: Tx, budget_id: int, now_ms: int) -> None:
    await _set(tx, budget_id, deleted_ms=now_ms)


async def _set(tx: Tx, budget_id: int, **values: int) -> None:
    await tx.execute(sa.update(budget).where(budget.c.id == budget_id).values(**values))
