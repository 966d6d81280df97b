"""tallygate secrets: the master key, and sealing everything anew under another one.

While it goes on both keys are known and either opens. The key changes in steps, each of which says
what comes next, because a running server must know a key before anything is sealed with it.
"""

import asyncio
import contextlib
from typing import Any

import msgspec
import typer

from tallygate.cli import options, output
from tallygate.cli.failures import FAILED, STORE_OR_SETTINGS, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.core.commands import Inspect
from tallygate.core.master_key import MASTER_KEY_BYTES, identity
from tallygate.store.maintenance import server_stopped
from tallygate.store.rotation import Resealed, reseal
from tallygate.supervisor import folder

app = typer.Typer(no_args_is_help=True)


@app.callback()
def each() -> None:
    """Keeps the name of the command, also while there is one only."""


@app.command()
def rotate(data: options.Data = None, as_json: options.Json = False) -> None:
    """Seal every secret anew under a new master key. May be stopped, and run again, at any time."""
    with as_faults():
        session = open_session(data)
        session.require_store()
        with contextlib.ExitStack() as stack:
            if not session.is_served:
                stack.enter_context(server_stopped(session.lock))
            report, advice = asyncio.run(_rotate(session))
    if as_json:
        row: dict[str, Any] = msgspec.to_builtins(report)
        output.print_json({**row, "is_finished": not advice, "next": advice})
    else:
        output.print_line(
            f"{report.sealed_anew} secrets sealed anew, {report.done_before} were already"
        )
        if report.shut:
            output.print_line(f"{report.shut} open with no known key and are left as they are")
        output.print_line(advice or "the old key is not needed any more")
    if advice or report.shut:
        raise typer.Exit(FAILED)


async def _rotate(session: Session) -> tuple[Resealed, str]:
    """One step as far as it goes, and what is to be done before the next; "" when it is done."""
    if session.settings.master_key is not None:
        return await _rotate_settings(session)
    data = session.settings.data
    if not (data / "master.key.old").is_file():
        folder.begin_next_key(data)
        wanted = session.master_key[MASTER_KEY_BYTES:][:MASTER_KEY_BYTES]
        known = await _known_to_server(session)
        if known is not None and identity(wanted) not in known:
            return Resealed(), (
                "the server does not know the new key yet: send HUP to its supervisor (or restart "
                "it), then run this again"
            )
    folder.turn_to_next_key(data)
    ring = session.master_key
    report = await _reseal(session, ring)
    known = await _known_to_server(session)
    if known is not None and known[:1] != [identity(ring[:MASTER_KEY_BYTES])]:
        return report, (
            "the server still seals with the old key: send HUP to its supervisor (or restart it), "
            "then run this again"
        )
    if report.shut == 0:
        folder.forget_old_key(data)
    return report, ""


async def _rotate_settings(session: Session) -> tuple[Resealed, str]:
    if session.settings.master_key_old is None:
        raise Fault(
            "the master key is a setting: set TALLYGATE_MASTER_KEY to the new one and "
            "TALLYGATE_MASTER_KEY_OLD to the one before, restart every node, then run this again",
            STORE_OR_SETTINGS,
        )
    ring = session.master_key
    known = await _known_to_server(session)
    if known is not None and known[:1] != [identity(ring[:MASTER_KEY_BYTES])]:
        return Resealed(), "the server does not know the new key yet: restart it with it"
    return await _reseal(session, ring), ""


async def _reseal(session: Session, ring: bytes) -> Resealed:
    """Until a pass finds nothing: a keeper may have written behind the one before."""
    async with session.database() as db:
        report = await reseal(db, ring)
        while (again := await reseal(db, ring)).sealed_anew:
            report.sealed_anew += again.sealed_anew
        report.shut = again.shut
    return report


async def _known_to_server(session: Session) -> list[str] | None:
    """The identities of the keys that a running server has, the one it seals with first."""
    if not session.is_served:
        return None
    figures = await session.order(Inspect(), dict[str, Any])
    return list(figures.get("master_keys", ()))
