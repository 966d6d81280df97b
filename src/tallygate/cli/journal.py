"""tallygate journal: what gateways wrote down, and whether it can be read. Only ever looks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tallygate.cli import options, output
from tallygate.cli.failures import FAILED, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.core.entry import Entry
from tallygate.core.records import read_record
from tallygate.core.usage_report import UsageReport
from tallygate.journal.folder import BootFolder, boot_folders, segment_path, segments_of
from tallygate.journal.frames import read_header, scan, seed_of

app = typer.Typer(no_args_is_help=True)


@dataclass(slots=True)
class Reading:
    """One journal, as far as it can be read."""

    slot: int
    boot: int
    segments: int = 0
    bytes: int = 0
    entries: list[Entry] = field(default_factory=list)
    reports: list[UsageReport] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@app.command()
def show(
    limit: Annotated[int, typer.Option(min=1, help="How many entries, the latest.")] = 20,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """The latest entries: one per request that was let through."""
    with as_faults():
        session = open_session(data)
        session.require_store()
        entries = [entry for one in _read_all(session) for entry in one.entries]
    latest = sorted(entries, key=lambda entry: entry.admitted_ms + entry.duration_ms)[-limit:]
    if as_json:
        output.print_json([msgspec.structs.asdict(entry) for entry in latest])
        return
    output.print_table(
        ("at", "request", "key id", "model", "provider", "status", "outcome", "units", "ms"),
        (
            (
                output.moment(entry.admitted_ms),
                entry.request_id,
                entry.key_id,
                entry.model,
                entry.provider,
                entry.status,
                entry.outcome.value,
                int(entry.is_counted),
                entry.duration_ms,
            )
            for entry in latest
        ),
        "the journals are empty",
    )


@app.command()
def verify(data: options.Data = None, as_json: options.Json = False) -> None:
    """Read every journal to its end; status 1 if something in one can not be read."""
    with as_faults():
        session = open_session(data)
        session.require_store()
        found = list(_read_all(session))
    is_sound = not any(one.problems for one in found)
    if as_json:
        output.print_json({"ok": is_sound, "journals": [_row(one) for one in found]})
    else:
        output.print_table(
            ("slot", "boot", "segments", "bytes", "entries", "reports", "problems"),
            (
                (
                    *(one.slot, one.boot, one.segments, one.bytes),
                    *(len(one.entries), len(one.reports), len(one.problems)),
                )
                for one in found
            ),
            "there are no journals",
        )
        for one in found:
            for problem in one.problems:
                output.print_line(f"{one.slot}/{one.boot}: {problem}")
    if not is_sound:
        raise typer.Exit(FAILED)


def _row(one: Reading) -> dict[str, object]:
    return {
        "slot": one.slot,
        "boot": one.boot,
        "segments": one.segments,
        "bytes": one.bytes,
        "entries": len(one.entries),
        "reports": len(one.reports),
        "problems": one.problems,
    }


def _read_all(session: Session) -> Iterator[Reading]:
    is_served = session.is_served
    for folder in boot_folders(session.settings.journal_folder):
        yield read_journal(folder, may_be_growing=is_served)


def read_journal(folder: BootFolder, *, may_be_growing: bool) -> Reading:
    """`may_be_growing`: the last frame may be half written, which then is no damage."""
    reading = Reading(folder.slot, folder.boot)
    numbers = segments_of(folder.path)
    for number in numbers:
        is_over = number != numbers[-1] or not may_be_growing
        _read_segment(segment_path(folder.path, number), reading, is_over=is_over)
    return reading


def _read_segment(path: Path, reading: Reading, *, is_over: bool) -> None:
    content = path.read_bytes()
    written = content.rstrip(b"\0")
    reading.segments += 1
    reading.bytes += len(written)
    if not written:
        return
    head = read_header(content)
    if head is None:
        reading.problems.append(f"{path.name}: its header is damaged")
        return
    header, start = head
    found = scan(content[start:], seed_of(header.identity), is_final=is_over)
    for damage in found.damages:
        length = damage.end - damage.start
        reading.problems.append(
            f"{path.name}: {length} bytes at {start + damage.start} are damaged"
        )
    for offset, payload in found.frames:
        try:
            record = read_record(payload)
        except msgspec.MsgspecError as error:
            reading.problems.append(f"{path.name}: the entry at {start + offset}: {error}")
            continue
        if isinstance(record, UsageReport):
            reading.reports.append(record)
        else:
            reading.entries.append(record)
