"""tallygate doctor: is everything as it should be, and what to do where it is not."""

import asyncio
import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from tallygate.cli import options, output
from tallygate.cli.failures import FAILED, Fault, as_faults
from tallygate.cli.journal import read_journal
from tallygate.cli.session import Session, open_session
from tallygate.clock import system_ms
from tallygate.core.edge_commands import FAILING, OVER_QUOTA
from tallygate.core.errors import StoreRefused, StoreUnavailable
from tallygate.core.provider import Snapshot
from tallygate.journal.folder import boot_folders
from tallygate.store import edge_status, maintenance, providers, usage_intake
from tallygate.store.database import Database
from tallygate.supervisor.failure import Failure

TOKEN_LENGTH_MIN = 24
CLOCK_DRIFT_MS_MAX = 2000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `warn` works but should not stay so."""

    subject: str
    verdict: Literal["ok", "warn", "fail"]
    text: str


def doctor(data: options.Data = None, as_json: options.Json = False) -> None:
    """Look at settings, store, journals, clock, keys and providers; status 1 if something fails."""
    with as_faults():
        session = open_session(data)
        session.require_store()
        findings = [Finding("settings", "ok", f"data in {session.settings.data.absolute()}")]
        findings += asyncio.run(_of_store(session))
        findings += [*_of_secrets(session), *_of_journals(session)]
    is_well = all(one.verdict != "fail" for one in findings)
    if as_json:
        rows = [
            {"subject": one.subject, "verdict": one.verdict, "text": one.text} for one in findings
        ]
        output.print_json({"ok": is_well, "findings": rows})
    else:
        for one in findings:
            output.print_line(f"{one.verdict:4}  {one.subject:12} {one.text}")
    if not is_well:
        raise typer.Exit(FAILED)


async def _of_store(session: Session) -> list[Finding]:
    findings = []
    if session.location.path is not None and (problems := maintenance.check(session.location.path)):
        return [Finding("store", "fail", f"{problems[0]}: run `tallygate db repair`")]
    try:
        async with session.database() as database:
            findings.append(Finding("store", "ok", f"{session.location.name}, schema is current"))
            findings.append(await _of_clock(database))
            findings += await _of_providers(session, database)
            findings += await _of_reports(session, database)
            findings += await _of_edge(session, database)
    except (StoreRefused, StoreUnavailable, Fault) as error:
        findings.append(Finding("store", "fail", str(error)))
    return findings


async def _of_clock(database: Database) -> Finding:
    store_ms = await database.clock_ms()
    drift_ms = abs(store_ms - system_ms())
    if drift_ms > CLOCK_DRIFT_MS_MAX:
        return Finding(
            "clock", "warn", f"the store's clock is {drift_ms} ms off this machine's: set up NTP"
        )
    return Finding("clock", "ok", f"within {drift_ms} ms of the store's")


async def _of_reports(session: Session, database: Database) -> list[Finding]:
    """Whether strangers may report uses, and whether somebody is turned away."""
    settings, now_ms = session.settings, await database.clock_ms()
    async with database.reading() as tx:
        rows = await usage_intake.read(tx, now_ms - usage_intake.DAY_S * 1000)
    counted = Counter[str]()
    for row in rows:
        counted[row.kind] += row.counted
    findings = []
    secret = settings.usage_secret.get_secret_value() if settings.usage_secret else ""
    if settings.usage_open and not settings.usage_allow:
        text = "TALLYGATE_USAGE_OPEN lets anybody report uses: set TALLYGATE_USAGE_ALLOW, too"
        findings.append(Finding("usage log", "warn", text))
    elif secret and len(secret) < TOKEN_LENGTH_MIN and not settings.usage_open:
        text = f"the secret has {len(secret)} characters: {TOKEN_LENGTH_MIN} can not be guessed"
        findings.append(Finding("usage log", "warn", text))
    refused = counted[usage_intake.REFUSED]
    said = f"since yesterday {counted[usage_intake.LOGGED]} uses, {refused} reports refused"
    if refused:
        said += ": GET /api/usage/reports says why"
    return [*findings, Finding("usage log", "warn" if refused else "ok", said)]


async def _of_edge(session: Session, database: Database) -> list[Finding]:
    """Whether the edge has been told all that it should know."""
    settings = session.settings
    if not settings.edge_kv_namespace_id:
        return []
    async with database.reading() as tx:
        now = await edge_status.publishing(
            tx,
            namespace_id=settings.edge_kv_namespace_id,
            writes_per_day=settings.edge_writes_per_day,
            now_ms=system_ms(),
        )
    findings = []
    secret = settings.edge_secret.get_secret_value() if settings.edge_secret else ""
    if secret and len(secret) < TOKEN_LENGTH_MIN:
        text = f"its secret has {len(secret)} characters: {TOKEN_LENGTH_MIN} can not be guessed"
        findings.append(Finding("edge", "warn", text))
    for one in now.withheld:
        findings.append(Finding("edge", "warn", f"{one.host}{one.path} is not there: {one.reason}"))
    said = f"{now.state}: {now.entries} entries, {now.waiting} wait"
    if now.error:
        said += f"; {now.error}"
    is_bad = now.state in (FAILING, OVER_QUOTA)
    return [*findings, Finding("edge", "warn" if is_bad else "ok", said)]


async def _of_providers(session: Session, database: Database) -> list[Finding]:
    async with database.reading() as tx:
        try:
            snapshot, shut = await providers.snapshot(
                tx, session.master_key, session.provider, providers.demo("")
            )
        except Failure as error:
            return [Finding("master key", "fail", str(error))]
    findings = [
        Finding(
            "providers",
            "fail",
            f"{name}: the master key does not open its secret, so it is "
            f"left out: bring the old key back or PATCH /api/providers/{name} with the secret",
        )
        for name in shut
    ]
    return findings + _of_snapshot(snapshot)


def _of_snapshot(snapshot: Snapshot) -> list[Finding]:
    names = [one.name for one in snapshot.providers if not one.is_demo]
    if any(one.is_demo for one in snapshot.providers):
        text = (
            f"none configured: the demo model {providers.DEMO_MODEL} answers by repeating what it "
            "was told; set DEEPSEEK_API_KEY or POST /api/providers"
        )
        return [Finding("providers", "warn", text)]
    if not names:
        return [Finding("providers", "fail", "none is active: nothing can be forwarded")]
    insecure = [
        one.name
        for one in snapshot.providers
        if one.base_url.startswith("http://") and not _is_local(one.base_url)
    ]
    findings = [Finding("providers", "ok", ", ".join(names))]
    if insecure:
        findings.append(
            Finding("providers", "warn", f"{', '.join(insecure)}: http:// sends keys in clear")
        )
    return findings


def _is_local(url: str) -> bool:
    host = url.removeprefix("http://")
    return host.startswith(("127.", "localhost", "[::1]"))


def _of_secrets(session: Session) -> Iterator[Finding]:
    data, settings = session.settings.data, session.settings
    token = (
        settings.admin_token.get_secret_value()
        if settings.admin_token
        else _text(data / "admin-token")
    )
    if not token:
        yield Finding("admin token", "ok", "none yet: made at the first start")
    elif len(token) < TOKEN_LENGTH_MIN:
        text = f"{len(token)} characters: {TOKEN_LENGTH_MIN} or more can not be guessed"
        yield Finding("admin token", "warn", text)
    else:
        yield Finding("admin token", "ok", f"{len(token)} characters")
    if settings.master_key is None:
        where = data / "master.key"
        is_there = where.is_file()
        yield Finding(
            "master key",
            "ok" if is_there else "warn",
            f"in {where}; keep a copy elsewhere, backups do not hold it"
            if is_there
            else "none yet: made at the first start",
        )
    open_files = [path for path in _private_files(session) if _is_open_to_others(path)]
    for path in open_files:
        yield Finding("permissions", "fail", f"others can read {path}: chmod 600 {path}")
    if not open_files:
        yield Finding("permissions", "ok", "secrets are readable by their owner only")


def _private_files(session: Session) -> Iterator[Path]:
    for name in ("master.key", "admin-token", "usage-secret"):
        yield session.settings.data / name
    if session.location.path is not None:
        yield session.location.path


def _is_open_to_others(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except FileNotFoundError:
        return False


def _of_journals(session: Session) -> Iterator[Finding]:
    folder = session.settings.journal_folder
    if not os.access(session.settings.data, os.W_OK):
        yield Finding("data folder", "fail", f"{session.settings.data} can not be written")
    is_served = session.is_served
    readings = [read_journal(one, may_be_growing=is_served) for one in boot_folders(folder)]
    problems = sum(len(one.problems) for one in readings)
    if problems:
        text = f"{problems} places can not be read: `tallygate journal verify` names them"
        yield Finding("journals", "fail", text)
    else:
        yield Finding("journals", "ok", f"{sum(len(one.entries) for one in readings)} entries")
    yield Finding("server", "ok", "running" if is_served else "not running")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""
