"""What the keeper's commands have in common: kinds, names, rows as they are printed."""

import datetime
from typing import Any

from tallygate.cli.fault import USAGE, Fault
from tallygate.cli.place import Place
from tallygate.core.credential_commands import CredentialView
from tallygate.kinds import Kinds, load
from tallygate.store import credentials
from tallygate.store.database import Database


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
