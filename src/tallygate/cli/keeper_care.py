"""tallygate keeper test, restore, delete, kinds: looking after what is there."""

import asyncio
from typing import Annotated, Any

import msgspec
import typer

from tallygate.cli import options, output
from tallygate.cli.failures import FAILED, as_faults
from tallygate.cli.keeper_orders import ordering
from tallygate.cli.keeper_place import kinds_of, named, row_of
from tallygate.cli.place import Place, open_place
from tallygate.core.credential_commands import (
    CredentialView,
    DeleteCredential,
    RestoreCredential,
)
from tallygate.keeper import client
from tallygate.keeper.book import StoreBook
from tallygate.keeper.pace import Pace
from tallygate.keeper.trial import UNTESTED, Trial, try_out
from tallygate.kinds import Kinds
from tallygate.store import credential_checks, credentials

Which = Annotated[str, typer.Argument(help="The credential's id, or its name.")]
GOOD = ("valid", UNTESTED)


def test(
    which: Annotated[
        list[str] | None, typer.Argument(help="Ids or names; every credential if none is given.")
    ] = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Ask upstreams and write nothing; status 1 unless every credential is valid."""
    with as_faults():
        place = open_place(data)
        place.require_store()
        kinds = kinds_of(place)
        trials = asyncio.run(_try(place, kinds, which or []))
    if as_json:
        output.print_json([msgspec.to_builtins(trial) for trial in trials])
    else:
        for line in kinds.broken.values():
            output.print_line(line)
        output.print_table(
            ("id", "name", "kind", "verdict", "why"),
            ((one.id, one.name, one.kind, one.verdict, one.reason) for one in trials),
            "no credentials to test",
        )
    if kinds.broken or any(trial.verdict not in GOOD for trial in trials):
        raise typer.Exit(FAILED)


async def _try(place: Place, kinds: Kinds, which: list[str]) -> list[Trial]:
    async with place.database() as db:
        if which:
            views = [await named(db, one) for one in which]
        else:
            async with db.reading() as tx:
                views, _ = await credentials.page(tx)
        book = StoreBook(db, lambda: place.master_key, owner="keeper test", grace_ms=0)
        await book.set_clock()
        pace = Pace(book, place.settings.keeper_concurrency)
        async with client.opened() as sender:

            async def one(view: CredentialView) -> Trial | None:
                async with db.reading() as tx:
                    claim = await credential_checks.look(tx, view.id)
                if claim is None:
                    return None
                return await try_out(book, kinds, sender, pace, claim, view.name, view.state)

            found = await asyncio.gather(*(one(view) for view in views))
    return [trial for trial in found if trial is not None]


def restore(which: Which, data: options.Data = None, as_json: options.Json = False) -> None:
    """Take a credential out of quarantine; the next run looks at it anew."""
    with as_faults():
        view = asyncio.run(_restore(open_place(data), which))
    _print(view, "restored", as_json)


async def _restore(place: Place, which: str) -> CredentialView:
    async with place.database() as db:
        found = await named(db, which)
        async with ordering(place, db) as order:
            return await order(RestoreCredential(id=found.id))


def delete(which: Which, data: options.Data = None, as_json: options.Json = False) -> None:
    """Delete a credential and its secret for good."""
    with as_faults():
        view = asyncio.run(_delete(open_place(data), which))
    _print(view, "deleted", as_json)


async def _delete(place: Place, which: str) -> CredentialView:
    async with place.database() as db:
        found = await named(db, which)
        async with ordering(place, db) as order:
            return await order(DeleteCredential(id=found.id))


def _print(view: CredentialView, verb: str, as_json: bool) -> None:
    if as_json:
        output.print_json(row_of(view))
    else:
        output.print_line(f"{verb} credential {view.id} ({view.name}, {view.kind})")


def kinds(data: options.Data = None, as_json: options.Json = False) -> None:
    """The kinds there are, bundled or from data/kinds; status 1 if one can not be used."""
    with as_faults():
        known = kinds_of(open_place(data))
    rows: list[dict[str, Any]] = [
        {
            "name": kind.name,
            "title": kind.title,
            "variables": sorted(kind.variables),
            "probe": kind.probe is not None,
            "refresh": kind.refresh is not None,
        }
        for kind in sorted(known.usable.values(), key=lambda kind: kind.name)
    ]
    if as_json:
        broken = [{"name": name, "problem": line} for name, line in known.broken.items()]
        output.print_json({"kinds": rows, "broken": broken})
    else:
        output.print_table(
            ("kind", "what", "variables", "probe", "refresh"),
            (
                (
                    row["name"],
                    row["title"],
                    ", ".join(row["variables"]),
                    "yes" if row["probe"] else "no",
                    "yes" if row["refresh"] else "no",
                )
                for row in rows
            ),
            "no kinds",
        )
        for line in known.broken.values():
            output.print_line(line)
    if known.broken:
        raise typer.Exit(FAILED)
