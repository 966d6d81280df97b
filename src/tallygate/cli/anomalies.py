"""`tallygate anomalies`: what keys do out of the ordinary, and what is done about it."""

import asyncio
from typing import Annotated

import typer

from tallygate.cli import options, output
from tallygate.cli.failures import USAGE, Fault, as_faults
from tallygate.cli.session import Session, open_session, order
from tallygate.control.anomalies import Anomaly, shown
from tallygate.core.anomalies import STATES, Kind, Throttle
from tallygate.core.anomaly_commands import (
    AcknowledgeAnomaly,
    AnomalyView,
    KeyThrottleView,
    SetKeyThrottle,
)
from tallygate.store import anomalies, keys
from tallygate.store.anomalies import Filter

app = typer.Typer(no_args_is_help=True)

AnomalyId = Annotated[int, typer.Argument(help="The id of the anomaly.", min=1)]
KeyName = Annotated[str, typer.Argument(help="The key, or its id.")]


@app.command("list")
def list_anomalies(
    state: Annotated[str | None, typer.Option(help=" or ".join(STATES))] = None,
    kind: Annotated[str | None, typer.Option(help=", ".join(Kind))] = None,
    key: Annotated[str | None, typer.Option(help="Of this key only, or of this id.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 100,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Anomalies, the newest first."""
    _check(state, STATES, "--state")
    _check(kind, tuple(Kind), "--kind")
    with as_faults():
        found = asyncio.run(_list(open_session(data), state, kind, key, limit))
    if as_json:
        output.print_json(found)
        return
    output.print_table(
        ("id", "kind", "key", "began", "state", "throttle", "what"),
        (
            (
                *(one.id, one.kind, f"{one.key_label} ({one.key_id})".strip(), one.started_at),
                *(one.state, one.throttle, _what(one)),
            )
            for one in found
        ),
        "no anomalies",
    )


@app.command()
def show(anomaly: AnomalyId, data: options.Data = None, as_json: options.Json = False) -> None:
    """One anomaly with its evidence."""
    with as_faults():
        found = asyncio.run(_find(open_session(data), anomaly))
    if as_json:
        output.print_json(found)
        return
    until = found.ended_at or "now"
    output.print_line(f"{found.kind} of {found.key_label or 'key'} ({found.key_id})")
    output.print_line(f"{found.started_at} to {until}, {found.state}: {_what(found)}")
    if found.throttle != Throttle.OFF:
        output.print_line(f"throttle: {found.throttle}, until {found.throttled_until or 'lifted'}")
    evidence = found.evidence
    if evidence.usual_sources:
        output.print_line(f"usual: {', '.join(evidence.usual_sources)}")
    if evidence.log10_chance is not None:
        output.print_line(f"chance by its own habit: 10^{evidence.log10_chance:g}")
    output.print_table(
        ("at", "route", "status", "address", "agent", "request"),
        (
            (use.at, use.route, use.status, use.address, use.agent, use.request_id)
            for use in evidence.first_uses
        ),
        "its uses are not kept any more",
    )


@app.command()
def acknowledge(
    anomaly: AnomalyId,
    note: Annotated[str, typer.Option(help="What was found out, or done.")] = "",
    keep_throttle: Annotated[
        bool,
        typer.Option("--keep-throttle", help="Leave the key as slow, or as stopped, as it is."),
    ] = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Say that somebody has seen to it; the key gets back what it had."""
    change = AcknowledgeAnomaly(anomaly_id=anomaly, note=note, lift_throttle=not keep_throttle)
    done = shown(order(data, change, AnomalyView))
    if as_json:
        output.print_json(done)
    else:
        output.print_line(f"anomaly {done.id} is acknowledged")


@app.command()
def throttle(
    key: KeyName,
    mode: Annotated[str, typer.Argument(help=f"{', '.join(Throttle)}, or default.")],
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Say what an anomaly does to this key, whatever the setting says."""
    _check(mode, (*Throttle, "default"), "mode")
    change = SetKeyThrottle(key=key, throttle=None if mode == "default" else mode)
    done = order(data, change, KeyThrottleView)
    if as_json:
        output.print_json(done)
    else:
        output.print_line(f"key {done.key_id}: {done.throttle or 'as the setting says'}")


def _what(found: Anomaly) -> str:
    evidence = found.evidence
    if evidence.sources:
        return f"{evidence.what}: {', '.join(evidence.sources[:3])}"
    if evidence.quiet_days is not None:
        return f"{evidence.what}: {evidence.quiet_days:g} days"
    return f"{evidence.seen:g} {evidence.what}, usually {evidence.expected:g}"


def _check(value: str | None, known: tuple[str, ...], name: str) -> None:
    if value is not None and value not in known:
        raise Fault(f"{name}: use one of {', '.join(known)}", USAGE)


async def _list(
    session: Session, state: str | None, kind: str | None, key: str | None, limit: int
) -> list[Anomaly]:
    async with session.database() as database, database.reading() as tx:
        key_id = None
        if key is not None:
            found = await keys.find_view(tx, key)
            if found is None and not key.isdecimal():
                raise Fault("there is no such key")
            key_id = int(key) if found is None else found.id
        views, _ = await anomalies.page(tx, Filter(state, kind, key_id), limit=limit)
    return [shown(view) for view in views]


async def _find(session: Session, anomaly_id: int) -> Anomaly:
    async with session.database() as database, database.reading() as tx:
        view = await anomalies.find(tx, anomaly_id)
    if view is None:
        raise Fault("there is no such anomaly")
    return shown(view)
