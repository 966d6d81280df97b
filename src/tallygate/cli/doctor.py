"""tallygate doctor: is everything as it should be, and what to do where it is not."""

import asyncio
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import typer

from tallygate.cli import options, output
from tallygate.cli.failures import FAILED, Fault, as_faults
from tallygate.cli.journal import read_journal
from tallygate.cli.session import Session, open_session
from tallygate.clock import system_ms
from tallygate.core.diagnosis import FAIL, Finding, Found, found
from tallygate.core.edge_commands import FAILING, OVER_QUOTA
from tallygate.core.errors import StoreRefused, StoreUnavailable
from tallygate.core.provider import Snapshot
from tallygate.journal.folder import boot_folders
from tallygate.store import edge_status, maintenance, providers, usage_intake
from tallygate.store.database import Database
from tallygate.supervisor.failure import Failure

TOKEN_LENGTH_MIN = 24
CLOCK_DRIFT_MS_MAX = 2000


def doctor(data: options.Data = None, as_json: options.Json = False) -> None:
    """Look at settings, store, journals, clock, keys and providers; status 1 if something fails."""
    with as_faults():
        session = open_session(data)
        session.require_store()
        findings = [found(Found.DATA_FOLDER, path=str(session.settings.data.absolute()))]
        findings += asyncio.run(_of_store(session))
        findings += [*_of_secrets(session), *_of_journals(session)]
    is_well = all(one.verdict != FAIL for one in findings)
    if as_json:
        output.print_json({"ok": is_well, "findings": [_row(one) for one in findings]})
    else:
        for one in findings:
            output.print_line(f"{one.verdict:4}  {one.subject:12} {one.text}")
    if not is_well:
        raise typer.Exit(FAILED)


def _row(one: Finding) -> dict[str, object]:
    return {
        "subject": one.subject,
        "verdict": one.verdict,
        "code": one.found.value,
        "values": one.values,
        "text": one.text,
    }


async def _of_store(session: Session) -> list[Finding]:
    findings = []
    if session.location.path is not None and (problems := maintenance.check(session.location.path)):
        return [found(Found.STORE_DAMAGED, problem=problems[0])]
    try:
        async with session.database() as database:
            findings.append(found(Found.STORE_CURRENT, name=session.location.name))
            findings.append(await _of_clock(database))
            findings += await _of_providers(session, database)
            findings += await _of_reports(session, database)
            findings += await _of_edge(session, database)
    except (StoreRefused, StoreUnavailable, Fault) as error:
        findings.append(found(Found.STORE_UNUSABLE, reason=str(error)))
    return findings


async def _of_clock(database: Database) -> Finding:
    store_ms = await database.clock_ms()
    drift_ms = abs(store_ms - system_ms())
    is_off = drift_ms > CLOCK_DRIFT_MS_MAX
    return found(Found.CLOCK_OFF if is_off else Found.CLOCK_RIGHT, ms=drift_ms)


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
        findings.append(found(Found.USAGE_OPEN))
    elif secret and len(secret) < TOKEN_LENGTH_MIN and not settings.usage_open:
        findings.append(_too_short(Found.USAGE_SECRET_SHORT, secret))
    refused, logged = counted[usage_intake.REFUSED], counted[usage_intake.LOGGED]
    code = Found.USAGE_REFUSED if refused else Found.USAGE_REPORTED
    return [*findings, found(code, logged=logged, refused=refused)]


def _too_short(code: Found, secret: str) -> Finding:
    return found(code, length=len(secret), least=TOKEN_LENGTH_MIN)


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
        findings.append(_too_short(Found.EDGE_SECRET_SHORT, secret))
    for one in now.withheld:
        route = f"{one.host}{one.path}"
        findings.append(found(Found.EDGE_WITHHELD, route=route, reason=one.reason))
    said: dict[str, str | int] = {
        "state": now.state,
        "entries": now.entries,
        "waiting": now.waiting,
    }
    if now.state == OVER_QUOTA:
        return [*findings, found(Found.EDGE_OVER_QUOTA, **said)]
    if now.state == FAILING:
        return [*findings, found(Found.EDGE_FAILING, **said, error=now.error)]
    return [*findings, found(Found.EDGE_PUBLISHED, **said)]


async def _of_providers(session: Session, database: Database) -> list[Finding]:
    async with database.reading() as tx:
        try:
            snapshot, shut = await providers.snapshot(
                tx, session.master_key, session.provider, providers.demo("")
            )
        except Failure as error:
            return [found(Found.MASTER_KEY_WRONG, reason=str(error))]
    return [found(Found.PROVIDER_SHUT, name=name) for name in shut] + _of_snapshot(snapshot)


def _of_snapshot(snapshot: Snapshot) -> list[Finding]:
    names = [one.name for one in snapshot.providers if not one.is_demo]
    if any(one.is_demo for one in snapshot.providers):
        return [found(Found.PROVIDERS_DEMO, model=providers.DEMO_MODEL)]
    if not names:
        return [found(Found.PROVIDERS_NONE)]
    insecure = [
        one.name
        for one in snapshot.providers
        if one.base_url.startswith("http://") and not _is_local(one.base_url)
    ]
    findings = [found(Found.PROVIDERS_ACTIVE, names=", ".join(names))]
    if insecure:
        findings.append(found(Found.PROVIDERS_IN_CLEAR, names=", ".join(insecure)))
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
        yield found(Found.ADMIN_TOKEN_TO_COME)
    elif len(token) < TOKEN_LENGTH_MIN:
        yield _too_short(Found.ADMIN_TOKEN_SHORT, token)
    else:
        yield found(Found.ADMIN_TOKEN_GOOD, length=len(token))
    if settings.master_key is None:
        where = data / "master.key"
        if where.is_file():
            yield found(Found.MASTER_KEY_THERE, path=str(where))
        else:
            yield found(Found.MASTER_KEY_TO_COME)
    open_files = [path for path in _private_files(session) if _is_open_to_others(path)]
    for path in open_files:
        yield found(Found.FILE_OPEN, path=str(path))
    if not open_files:
        yield found(Found.FILES_PRIVATE)


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
        yield found(Found.DATA_FOLDER_READ_ONLY, path=str(session.settings.data))
    is_served = session.is_served
    readings = [read_journal(one, may_be_growing=is_served) for one in boot_folders(folder)]
    problems = sum(len(one.problems) for one in readings)
    if problems:
        yield found(Found.JOURNALS_UNREADABLE, places=problems)
    else:
        yield found(Found.JOURNALS_READ, entries=sum(len(one.entries) for one in readings))
    yield found(Found.SERVER_RUNNING if is_served else Found.SERVER_STOPPED)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""
