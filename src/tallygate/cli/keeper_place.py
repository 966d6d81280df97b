"""What the keeper's commands have in common: kinds, rows as they are printed, changes as written.

They write to the store themselves, beside a server or without one, in short transactions of their
own: the same ones that a run of the keeper makes. The feed tells clerks of it.
"""

import datetime
from collections.abc import Awaitable, Callable
from typing import Any

from tallygate.cli.fault import USAGE, Fault
from tallygate.cli.place import ACTOR, Place
from tallygate.core.credential_commands import CredentialView
from tallygate.kinds import Kinds, load
from tallygate.store import audit, credentials, feed
from tallygate.store.database import Database, Tx


def kinds_of(place: Place) -> Kinds:
    return load(place.settings.data / "kinds")


def variables_of(pairs: list[str]) -> dict[str, str]:
    """`--var KEY=VALUE`, any number of times."""
    variables = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise Fault("--var: use KEY=VALUE", USAGE)
        variables[name] = value
    return variables


async def change(
    db: Database,
    action: str,
    work: Callable[[Tx, int], Awaitable[tuple[CredentialView | None, CredentialView]]],
) -> CredentialView:
    """One change with its audit row and its event. `work` answers what it was and what it is."""
    now_ms = await db.clock_ms()
    async with db.writing() as tx:
        before, after = await work(tx, now_ms)
        subject = f"credential:{after.id}"
        await audit.record(tx, ACTOR, action, subject, before, after, now_ms)
        await feed.append(tx, "config", 0, 0, ACTOR.name, now_ms)
    return after


async def named(db: Database, which: str) -> CredentialView:
    """By its id or, if that is clear, by its name."""
    async with db.reading() as tx:
        if which.isascii() and which.isdecimal() and len(which) < 18:
            return await credentials.get(tx, int(which))
        found = [view for view in (await credentials.page(tx))[0] if view.name == which]
    if len(found) != 1:
        many = f"{len(found)} credentials are" if found else "no credential is"
        raise Fault(f"{many} named {which!r}: `tallygate keeper list` shows their ids")
    return found[0]


def row_of(view: CredentialView) -> dict[str, Any]:
    return {
        "id": view.id,
        "name": view.name,
        "user": view.user,
        "kind": view.kind,
        "state": view.state.value,
        "last_used": rfc3339(view.last_used_ms),
        "last_checked": rfc3339(view.last_checked_ms),
    }


def rfc3339(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    at = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
