"""tallygate keeper add, keeper import, import baoming: credentials are taken in."""

import asyncio
import getpass
import random
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from tallygate.cli import options, output
from tallygate.cli.failures import FAILED, USAGE, Fault, as_faults
from tallygate.cli.keeper_orders import ordering
from tallygate.cli.keeper_place import kinds_of, row_of, variables_of
from tallygate.cli.place import Place, open_place
from tallygate.core.credential import State
from tallygate.core.credential_commands import (
    CreateCredential,
    CredentialView,
    NewCredential,
    PatchCredential,
)
from tallygate.core.credential_intake import (
    BadCredential,
    check_name,
    check_variables,
    credential_of,
    parts_of,
    read_rows,
)
from tallygate.core.credential_kind import BadKind, Kind
from tallygate.keeper import client
from tallygate.keeper.book import DAY_MS, StoreBook
from tallygate.keeper.run import Listener, Wanted, run_once
from tallygate.keeper.wording import BAOMING
from tallygate.store import credentials
from tallygate.store.credential_checks import Selection
from tallygate.store.database import Database

FILE_BYTES_MAX = 64 << 20

Variables = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="KEY=VALUE", help="A variable of the kind; may be repeated."),
]
KindName = Annotated[str, typer.Option(help="The kind; `keeper kinds` lists them.")]


def add(
    kind: KindName,
    name: Annotated[str, typer.Option(help="What it is called.")],
    user: Annotated[str, typer.Option(help="Whose it is.")] = "",
    var: Variables = None,
    pool: Annotated[
        str, typer.Option(help="What a provider names to use it; its kind's name if not given.")
    ] = "",
    check: Annotated[bool, typer.Option("--check", help="Ask its upstream at once.")] = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Take in a credential, its secret from standard input. The first one makes the store, too."""
    with as_faults():
        place = open_place(data)
        variables = variables_of(var or [])
        found = find_kind(place, kind)
        try:
            check_name(name)
            check_variables(found, variables, is_complete=True)
            parts = parts_of(found, _secret())
        except BadCredential as error:
            raise Fault(str(error), USAGE) from error
        new = NewCredential(
            kind=kind,
            name=name,
            user=user,
            pool=pool,
            variables=variables,
            parts=parts,
            given=found.given,
        )
        place.make_store()
        made = asyncio.run(_add(place, new, check))
    if as_json:
        output.print_json(row_of(made))
    else:
        why = f": {made.reason}" if made.reason else ""
        output.print_line(f"credential {made.id} ({made.name}, {made.kind}) is {made.state}{why}")
    if check and made.state is not State.VALID:
        raise typer.Exit(FAILED)


def find_kind(place: Place, name: str) -> Kind:
    try:
        return kinds_of(place).find(name)
    except BadKind as error:
        raise Fault(str(error), USAGE) from error


def _secret() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("secret: ")
    return sys.stdin.read(1 << 16)


async def _add(place: Place, new: NewCredential, is_checked: bool) -> CredentialView:
    async with place.database() as db:
        async with ordering(place, db) as order:
            made = await order(CreateCredential(new=new))
        if is_checked:
            made = await _checked(place, db, made)
    return made


async def _checked(place: Place, db: Database, made: CredentialView) -> CredentialView:
    """Quarantined at worst, so that whoever hands it in can look at what was wrong."""
    grace_ms = max(1, place.settings.keeper_delete_grace_days) * DAY_MS
    book = StoreBook(db, lambda: place.master_key, owner="keeper add", grace_ms=grace_ms)
    async with client.opened() as sender:
        await run_once(
            book,
            kinds_of(place),
            sender,
            Wanted(Selection(ids=(made.id,)), f"credential {made.id}"),
            Listener(),
            jitter=random.random,
            concurrency=1,
            on_failure=lambda _, error: output.say(f"warning: {error}"),
        )
    async with db.reading() as tx:
        return await credentials.get(tx, made.id)


class Intake(msgspec.Struct, kw_only=True):
    """What became of a file."""

    added: int = 0
    known: int = 0
    completed: int = 0  # known ones that got a variable that they lacked
    skipped: dict[str, int] = {}
    incomplete: int = 0  # taken in, but a variable has to be set before they can be checked


def import_file(
    file: Annotated[Path, typer.Argument(help="CSV or JSON lines: token, name, user, last_used.")],
    kind: KindName = BAOMING,
    var: Variables = None,
    dry_run: options.DryRun = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Take in the credentials of a file; those that are known stay as they are. Repeatable."""
    with as_faults():
        place = open_place(data)
        found = find_kind(place, kind)
        variables = variables_of(var or [])
        try:
            check_variables(found, variables, is_complete=False)
        except BadCredential as error:
            raise Fault(str(error), USAGE) from error
        if file.stat().st_size > FILE_BYTES_MAX:
            raise Fault(f"{file} is larger than {FILE_BYTES_MAX} bytes: divide it")
        try:
            text = file.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise Fault(f"{file} is no UTF-8 text") from error
        taken, wanted = _read(found, text, file.name, variables)
        place.make_store()
        asyncio.run(_take_in(place, found, wanted, taken, dry_run))
    _print(taken, dry_run, as_json)


def _read(
    kind: Kind, text: str, file_name: str, variables: dict[str, str]
) -> tuple[Intake, list[NewCredential]]:
    taken, wanted, seen = Intake(), [], set()
    for number, fields in read_rows(text, file_name):
        try:
            if isinstance(fields, str):
                raise BadCredential(fields)
            new = credential_of(kind, fields, variables)
        except BadCredential as error:
            reason = str(error)
            taken.skipped[reason] = taken.skipped.get(reason, 0) + 1
            output.say(f"line {number}: {reason}")
            continue
        if new.hash in seen:
            taken.known += 1
            continue
        seen.add(new.hash)
        wanted.append(new)
    return taken, wanted


async def _take_in(
    place: Place, kind: Kind, wanted: list[NewCredential], taken: Intake, is_dry_run: bool
) -> None:
    """In many transactions: a server goes on granting leases between them."""
    async with place.database() as db, ordering(place, db) as order:
        for new in wanted:
            for change in await _changes(db, kind, new, taken):
                if not is_dry_run:
                    await order(change)


async def _changes(
    db: Database, kind: Kind, new: NewCredential, taken: Intake
) -> list[CreateCredential | PatchCredential]:
    """What is to be done about one of them."""
    async with db.reading() as tx:
        known = await credentials.find_given(tx, new.kind, new.hash)
    lacking = missing_of(kind, new.variables)
    if known is None:
        taken.added += 1
        taken.incomplete += bool(lacking)
        return [CreateCredential(new=new)]
    taken.known += 1
    news = {name: new.variables[name] for name in new.variables.keys() - known.variables.keys()}
    if not news or known.state is State.DELETED:
        return []
    taken.completed += 1
    return [PatchCredential(id=known.id, variables={**known.variables, **news})]


def missing_of(kind: Kind, variables: dict[str, str]) -> list[str]:
    return [
        name
        for name, variable in kind.variables.items()
        if variable.default is None and not variables.get(name)
    ]


def _print(taken: Intake, is_dry_run: bool, as_json: bool) -> None:
    if as_json:
        row: dict[str, Any] = msgspec.to_builtins(taken)
        output.print_json({**row, "dry_run": is_dry_run})
    else:
        verb = "would be taken in" if is_dry_run else "taken in"
        output.print_line(f"{taken.added} credentials {verb}")
        if taken.known:
            output.print_line(f"{taken.known} are known already")
        if taken.completed:
            output.print_line(f"{taken.completed} of them got variables that they lacked")
        for reason, rows in taken.skipped.items():
            output.print_line(f"skipped {rows}: {reason}")
    if taken.incomplete:
        output.say(
            f"warning: {taken.incomplete} lack a variable of their kind: import again with --var, "
            "or give it a default in data/kinds/<kind>.toml"
        )
