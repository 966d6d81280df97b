"""Accounts: made with their wallet, changed, deactivated; never deleted, for the ledger names them.

A password's hash leaves this module in one place only: to whoever verifies a password.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tallygate.core.account_commands import AccountView
from tallygate.core.errors import Code, Refusal
from tallygate.store import wallets
from tallygate.store.database import Tx
from tallygate.store.money_schema import wallet
from tallygate.store.people_schema import account

_CHANGEABLE = frozenset({"name", "email", "password", "subject", "role", "is_active", "language"})
_VIEW = (
    *(account.c.id, account.c.name, account.c.email, account.c.role, account.c.is_active),
    account.c.password.is_not(None).label("has_password"),
    account.c.subject.is_not(None).label("has_subject"),
    account.c.created_ms,
    account.c.language,
    sa.func.coalesce(wallet.c.balance_micros, 0).label("balance_micros"),
)
_WITH_WALLET = account.outerjoin(wallet, wallet.c.account_id == account.c.id)


@dataclass(frozen=True, slots=True)
class Login:
    """What a sign-in by password is checked against."""

    id: str
    password_hash: str | None
    is_active: bool

    def __repr__(self) -> str:
        return f"<Login {self.id}>"


async def insert(
    tx: Tx,
    id_: str,
    now_ms: int,
    *,
    name: str = "",
    email: str | None = None,
    password_hash: str | None = None,
    subject: str | None = None,
    role: str = "member",
) -> None:
    """A new account with its wallet; CONFLICT says which of its names is taken."""
    values = {
        "id": id_,
        "name": name,
        "email": email,
        "password": password_hash,
        "subject": subject,
        "role": role,
        "is_active": True,
        "created_ms": now_ms,
    }
    try:
        async with tx.savepoint():
            await tx.execute(sa.insert(account), values)
    except sa.exc.IntegrityError as error:
        raise await _taken(tx, id_, email) from error
    await wallets.open_wallet(tx, id_, now_ms)


async def change(tx: Tx, id_: str, **changes: Any) -> None:
    """Set columns by name; NOT_FOUND, or CONFLICT when the address is somebody else's."""
    assert changes.keys() <= _CHANGEABLE, "what else an account has never changes"
    if not changes:
        return
    statement = sa.update(account).where(account.c.id == id_).values(changes)
    try:
        async with tx.savepoint():
            await tx.execute(statement)
    except sa.exc.IntegrityError as error:
        raise _conflict("email", str(changes.get("email"))) from error


async def _taken(tx: Tx, id_: str, email: str | None) -> Refusal:
    if email is not None and await find_by_email(tx, email) is not None:
        return _conflict("email", email)
    return _conflict("id", id_)


def _conflict(what: str, value: str) -> Refusal:
    return Refusal(Code.CONFLICT, f"there is a user with the {what} {value!r} already", param=what)


async def find(tx: Tx, id_: str) -> AccountView | None:
    return await _one(tx, account.c.id == id_)


async def find_by_email(tx: Tx, email: str) -> AccountView | None:
    return await _one(tx, account.c.email == email)


async def find_by_subject(tx: Tx, subject: str) -> AccountView | None:
    return await _one(tx, account.c.subject == subject)


async def _one(tx: Tx, condition: sa.ColumnElement[bool]) -> AccountView | None:
    row = (await tx.execute(sa.select(*_VIEW).select_from(_WITH_WALLET).where(condition))).first()
    return None if row is None else _view(row)


async def find_login(tx: Tx, *, id_: str | None = None, email: str | None = None) -> Login | None:
    condition = account.c.id == id_ if email is None else account.c.email == email
    columns = (account.c.id, account.c.password, account.c.is_active)
    row = (await tx.execute(sa.select(*columns).where(condition))).first()
    return None if row is None else Login(*tuple(row))


async def page(
    tx: Tx,
    *,
    limit: int,
    offset: int = 0,
    role: str | None = None,
    is_active: bool | None = None,
    containing: str | None = None,
) -> tuple[list[AccountView], int]:
    """Accounts by age, the oldest first, and how many there are of these."""
    conditions: list[sa.ColumnElement[bool]] = []
    if role is not None:
        conditions.append(account.c.role == role)
    if is_active is not None:
        conditions.append(account.c.is_active == is_active)
    if containing:
        texts = (account.c.id, account.c.name, account.c.email)
        conditions.append(sa.or_(*(text.icontains(containing, autoescape=True) for text in texts)))
    query = sa.select(*_VIEW).select_from(_WITH_WALLET).where(*conditions)
    query = query.order_by(account.c.created_ms, account.c.id).limit(limit).offset(offset)
    found = [_view(row) for row in await tx.execute(query)]
    counting = sa.select(sa.func.count()).select_from(account).where(*conditions)
    return found, int(await tx.scalar(counting))


async def names_of(tx: Tx, ids: set[str]) -> dict[str, str]:
    """What these accounts are called; who has no name is left out."""
    query = sa.select(account.c.id, account.c.name).where(account.c.id.in_(ids))
    return {row.id: row.name for row in await tx.execute(query) if row.name} if ids else {}


def _view(row: sa.Row[Any]) -> AccountView:
    return AccountView(
        id=row.id,
        name=row.name,
        email=row.email,
        role=row.role,
        is_active=row.is_active,
        has_password=bool(row.has_password),
        has_subject=bool(row.has_subject),
        created_ms=row.created_ms,
        balance_micros=row.balance_micros,
        language=row.language,
    )
