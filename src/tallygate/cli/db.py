"""tallygate db: looking after the store."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit, urlunsplit

import typer

from tallygate.cli import options, output
from tallygate.cli.failures import FAILED, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.clock import system_ms
from tallygate.store import maintenance

app = typer.Typer(no_args_is_help=True)

MASTER_KEY_IS_APART = (
    "the master key is not in the backup: keep data/master.key (or TALLYGATE_MASTER_KEY) in "
    "another place, without it sealed secrets stay closed"
)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="A new file.")],
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Copy the store into one file, also while a server runs."""
    with as_faults():
        session = open_session(data)
        session.require_store()
        if session.location.path is None:
            size = _dump_postgresql(session, target)
        else:
            size = maintenance.backup(session.location.path, target)
    output.say(f"note: {MASTER_KEY_IS_APART}")
    if as_json:
        output.print_json({"file": str(target), "bytes": size, "has_master_key": False})
    else:
        output.print_line(f"backed up {session.location.name} to {target} ({size} bytes)")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A file that `db backup` made.")],
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Put a backup in the store's place; the old store is kept aside. Stop the server first."""
    with as_faults():
        session = open_session(data)
        path = _sqlite_path(session, "restore with pg_restore")
        with maintenance.server_stopped(session.lock):
            kept_as = maintenance.restore(source, path, _stamp())
    if as_json:
        output.print_json({"restored": str(path), "kept_as": str(kept_as) if kept_as else None})
        return
    output.print_line(f"restored {path}")
    if kept_as:
        output.print_line(f"the store that was there is kept as {kept_as}")
    output.print_line("what was answered since the backup is replayed from the journals at start")


@app.command()
def check(data: options.Data = None, as_json: options.Json = False) -> None:
    """Check the store's integrity; status 1 if something is wrong."""
    with as_faults():
        session = open_session(data)
        session.require_store()
        problems: list[str] = []
        if session.location.path is not None:
            problems = maintenance.check(session.location.path)
        if not problems:
            asyncio.run(_check_schema(session))
    if as_json:
        output.print_json({"ok": not problems, "problems": problems})
    else:
        for problem in problems:
            output.print_line(problem)
        output.print_line(
            f"{len(problems)} problems: `tallygate db repair` saves what can be read"
            if problems
            else f"{session.location.name} is sound"
        )
    if problems:
        raise typer.Exit(FAILED)


async def _check_schema(session: Session) -> None:
    async with session.database():
        pass


@app.command()
def repair(data: options.Data = None, as_json: options.Json = False) -> None:
    """Save what can be read of a damaged store into a new file; the old one is kept aside."""
    with as_faults():
        session = open_session(data)
        session.require_store()
        path = _sqlite_path(session, "repair with its own tools")
        with maintenance.server_stopped(session.lock):
            done = maintenance.repair(path, _stamp())
    if as_json:
        output.print_json({"kept_as": str(done.kept_as), "rows": done.rows, "lost": done.lost})
    else:
        rows = sum(done.rows.values())
        output.print_line(f"saved {rows} rows of {len(done.rows)} tables into {path}")
        for name, reason in done.lost.items():
            output.print_line(f"not all of {name} could be read: {reason}")
        output.print_line(f"the damaged store is kept as {done.kept_as}")
    if done.lost:
        raise typer.Exit(FAILED)


@app.command()
def migrate(data: options.Data = None, as_json: options.Json = False) -> None:
    """Bring the store to this version's schema; harmless when it is there already."""
    with as_faults():
        session = open_session(data)
        session.require_store()
        session.migrate()
    if as_json:
        output.print_json({"migrated": True})
    else:
        output.print_line(f"{session.location.name} has the schema of this version")


def _sqlite_path(session: Session, advice: str) -> Path:
    if session.location.path is None:
        raise Fault(f"the store is a PostgreSQL: {advice}")
    return session.location.path


def _dump_postgresql(session: Session, target: Path) -> int:
    """By pg_dump; the password goes by the environment, where no list of processes shows it."""
    program = shutil.which("pg_dump")
    if program is None:
        raise Fault(
            "the store is a PostgreSQL: back it up with pg_dump, which is not installed here"
        )
    if target.exists():
        raise Fault(f"{target} exists: name a new file, backups are never overwritten")
    parts = urlsplit(session.location.url)
    place = parts.netloc.rpartition("@")[2]
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    bare = urlunsplit(parts._replace(netloc=f"{user}@{place}" if user else place))
    environ = {**os.environ, "PGPASSWORD": unquote(parts.password or "")}
    if not parts.password:
        del environ["PGPASSWORD"]
    command = [program, "--format=custom", "--schema=tallygate", f"--file={target}", bare]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    if done.returncode:
        target.unlink(missing_ok=True)
        raise Fault(f"pg_dump: {done.stderr.strip().splitlines()[-1:] or ['it failed']}"[:500])
    target.chmod(0o600)
    return target.stat().st_size


def _stamp() -> str:
    return output.moment(system_ms()).replace("-", "").replace(":", "").replace(" ", "-")
