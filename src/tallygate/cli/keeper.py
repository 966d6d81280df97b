"""tallygate keeper: upstream credentials, kept alive. Needs no server."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from tallygate.cli import keeper_alerts, options, output
from tallygate.cli import keeper_care as care
from tallygate.cli import keeper_intake as intake
from tallygate.cli.failures import FAILED, USAGE, Fault, as_faults
from tallygate.cli.keeper_place import kinds_of, row_of
from tallygate.cli.place import Place, open_place
from tallygate.clock import system_ms
from tallygate.core.credential import State
from tallygate.core.credential_commands import CredentialView
from tallygate.core.sealing import NoKey
from tallygate.keeper.lines import Lines
from tallygate.keeper.round import Done, Keeper, Orders, Timer
from tallygate.keeper.run import End
from tallygate.keeper.telling import Telling
from tallygate.keeper.wording import Wording, language_of
from tallygate.store import credentials
from tallygate.store.database import Database
from tallygate.supervisor.failure import Failure

INTERVAL_H = 6.0

app = typer.Typer(no_args_is_help=True)


MaxAge = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Only those used within N days.")
]
Cleanup = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="First delete what was unused for N days; by itself, only that."
    ),
]
Interval = Annotated[
    float | None,
    typer.Option(min=0.001, metavar="HOURS", help="Between two runs; 6 if not given."),
]
RunImmediately = Annotated[
    bool, typer.Option("--run-immediately", help="The scheduler begins with a run.")
]
LogFile = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Also write there; mode 600, rotated.")
]
Concurrency = Annotated[
    int | None, typer.Option(min=1, max=10_000, metavar="N", help="Requests at a time.")
]
Due = Annotated[
    bool, typer.Option("--due", help="Only what expires within minutes, or is asked for.")
]
MetricsFile = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Write the outcome as Prometheus text.")
]


@app.command()
def refresh(
    max_age_days: MaxAge = None,
    cleanup_days: Cleanup = None,
    scheduler: Annotated[bool, typer.Option("--scheduler", help="Again and again.")] = False,
    interval: Interval = None,
    run_immediately: RunImmediately = False,
    log_file: LogFile = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show each attempt.")] = False,
    concurrency: Concurrency = None,
    due: Due = False,
    dry_run: options.DryRun = False,
    metrics_file: MetricsFile = None,
    lang: Annotated[str, typer.Option(help="en, zh, or auto: as LANG says.")] = "auto",
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Check every credential and renew what can be renewed; status 1 if a check failed."""
    if lang not in ("auto", "en", "zh"):
        raise Fault("--lang: use en, zh or auto", USAGE)
    if (interval is not None or run_immediately) and not scheduler:
        raise Fault("--interval and --run-immediately go with --scheduler", USAGE)
    asks_for_more = scheduler or due or max_age_days is not None or concurrency is not None
    with as_faults():
        place = open_place(data)
        place.require_store()
        orders = Orders(
            is_refreshing=cleanup_days is None or asks_for_more,
            max_age_days=max_age_days,
            cleanup_days=cleanup_days,
            is_due_only=due,
            is_dry_run=dry_run,
            concurrency=concurrency or place.settings.keeper_concurrency,
            metrics_file=metrics_file,
            keeps_reports=as_json,
        )
        with _lines(place, log_file, verbose, as_json) as lines:
            voice = _voice(place, lines, lang)
            if scheduler:
                hours = interval or INTERVAL_H
                asyncio.run(_schedule(place, voice, orders, hours, run_immediately, lines))
                return
            done = asyncio.run(_once(place, voice, orders))
    if as_json:
        output.print_json(_summary(done, dry_run))
    if not done.is_well:
        raise typer.Exit(FAILED)


@contextlib.contextmanager
def _lines(place: Place, file: Path | None, is_verbose: bool, is_json: bool) -> Iterator[Lines]:
    stream = sys.stderr if is_json else sys.stdout
    zone = place.settings.time_zone
    lines = Lines(stream, file, zone=zone, clock_ms=system_ms, is_verbose=is_verbose)
    try:
        yield lines
    finally:
        lines.close()


class _Voice(NamedTuple):
    """How a run speaks: in its lines, and in the alerts that it sends."""

    telling: Telling
    alerts: str  # a language


def _voice(place: Place, lines: Lines, language: str) -> _Voice:
    wording = Wording(language_of(language, _locale()))
    telling = Telling(lines, wording, place.settings.keeper_delete_grace_days)
    return _Voice(telling, keeper_alerts.language_of(place, language, _locale()))


async def _once(place: Place, voice: _Voice, orders: Orders) -> Done:
    async with place.database() as db:
        return await _keeper(place, db, voice).round(orders)


async def _schedule(
    place: Place, voice: _Voice, orders: Orders, hours: float, at_once: bool, lines: Lines
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        if sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with place.database() as db:
        timer = Timer(_keeper(place, db, voice), voice.telling, stop)
        await timer.run(orders, interval_h=hours, runs_immediately=at_once, moment=lines.moment)


def _keeper(place: Place, db: Database, voice: _Voice) -> Keeper:
    return Keeper(
        db,
        lambda: _ring(place),
        lambda: kinds_of(place),
        voice.telling,
        owner=f"{socket.gethostname()}:{os.getpid()}",
        grace_days=place.settings.keeper_delete_grace_days,
        send=lambda: keeper_alerts.send(place, db, voice.alerts),
    )


def _ring(place: Place) -> bytes:
    """Without a key no secret opens; who needs none for its trouble to be told goes on."""
    try:
        return place.master_key
    except Failure as error:
        raise NoKey(str(error)) from error


def _locale() -> str:
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _summary(done: Done, is_dry_run: bool) -> dict[str, Any]:
    totals = done.tally.totals()
    totals["deleted"] += done.buried
    if is_dry_run:
        totals["total"] = len(done.would_check)
    rows: list[dict[str, Any]] = [
        {
            "id": report.choice.id,
            "name": report.choice.name,
            "user": report.choice.user,
            "kind": report.choice.kind,
            "verdict": report.end.value,
            "reason": report.reason,
        }
        for report in done.reports
    ]
    more = {"skipped": done.tally.ends[End.SKIPPED], "cleaned": done.cleaned}
    return {**totals, **more, "dry_run": is_dry_run, "credentials": rows}


@app.command("list")
def list_credentials(
    state: Annotated[
        str | None, typer.Option(help="Only those; `deleted` shows deleted ones.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only those of one kind.")] = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Every credential and what is known of it; never its secret."""
    if state is not None and state not in list(State):
        raise Fault(f"--state: use one of {', '.join(State)}", USAGE)
    with as_faults():
        found = asyncio.run(_list(open_place(data), state, kind))
    if as_json:
        output.print_json([row_of(view) for view in found])
        return
    output.print_table(
        ("id", "name", "user", "kind", "state", "last used", "last checked", "why"),
        (
            (
                view.id,
                view.name,
                view.user,
                view.kind,
                view.state.value,
                output.moment(view.last_used_ms),
                output.moment(view.last_checked_ms),
                view.reason,
            )
            for view in found
        ),
        "no credentials yet: `tallygate keeper add` takes one in",
    )


async def _list(place: Place, state: str | None, kind: str | None) -> list[CredentialView]:
    async with place.database() as db, db.reading() as tx:
        return (await credentials.page(tx, state=state, kind=kind))[0]


for _name, _command in (
    ("add", intake.add),
    ("import", intake.import_file),
    ("test", care.test),
    ("restore", care.restore),
    ("delete", care.delete),
    ("kinds", care.kinds),
):
    app.command(_name)(_command)
