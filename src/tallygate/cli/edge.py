"""tallygate edge: what Cloudflare's KV is told, and how that goes."""

import asyncio
from typing import Annotated

import msgspec
import typer

from tallygate.cli import options, output
from tallygate.cli.failures import as_faults
from tallygate.cli.session import Session, open_session
from tallygate.clock import system_ms
from tallygate.control.edge import Edge, shown
from tallygate.core.edge import ROUTES, digest_of, key_of, text_of
from tallygate.core.edge_commands import CURRENT, OFF, PublishEdge, Publishing
from tallygate.store import edge, edge_status

PAGE = 500

app = typer.Typer(no_args_is_help=True)


class Lying(msgspec.Struct, kw_only=True):
    """One name in KV and the text that belongs there."""

    name: str
    value: str


class Shown(msgspec.Struct, kw_only=True):
    """What `npm run dev` fills its KV with."""

    entries: list[Lying]


@app.command()
def status(data: options.Data = None, as_json: options.Json = False) -> None:
    """How publishing stands; status 1 unless all of it lies there, or there is no edge."""
    with as_faults():
        found = asyncio.run(_status(open_session(data)))
    _print(found, as_json=as_json)
    if found.state not in (CURRENT, OFF):
        raise typer.Exit(1)


@app.command()
def publish(
    reconcile: Annotated[
        bool, typer.Option("--reconcile", help="Compare everything that lies there first.")
    ] = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Publish what waits, now; status 1 if something still waits."""
    with as_faults():
        session = open_session(data)
        wanted = PublishEdge(reconcile=reconcile)
        done = shown(asyncio.run(session.order(wanted, Publishing)))
    _print(done, as_json=as_json)
    if done.state != CURRENT:
        raise typer.Exit(1)


@app.command()
def show(data: options.Data = None, as_json: options.Json = False) -> None:
    """What belongs into KV as of now; `--json` is what `npm run dev` in edge/ takes."""
    with as_faults():
        found = asyncio.run(_entries(open_session(data)))
    if as_json:
        output.print_json(Shown(entries=found))
        return
    output.print_table(
        ("name", "bytes", "digest"),
        ((one.name, str(len(one.value.encode())), digest_of(one.value)) for one in found),
        "nothing yet",
    )


def _print(found: Edge, *, as_json: bool) -> None:
    if as_json:
        output.print_json(found)
        return
    if found.state == OFF:
        output.print_line("off: TALLYGATE_EDGE_KV_NAMESPACE_ID is not set")
        return
    output.print_line(
        f"{found.state}: {found.entries} entries lie in KV, {found.waiting} wait, "
        f"{found.waiting_revocations} of which may revoke something"
    )
    bound = "" if found.writes_per_day is None else f" of {found.writes_per_day}"
    output.print_line(f"today: {found.writes_today}{bound} writes, {found.deletes_today} deletes")
    if found.error is not None:
        output.print_line(f"{found.error}; the next try is at {found.retry_at}")
    for one in found.withheld_routes:
        output.print_line(f"not at the edge: {one.host or ''}{one.path}: {one.reason}")


async def _status(session: Session) -> Edge:
    settings = session.settings
    async with session.database() as database, database.reading() as tx:
        return shown(
            await edge_status.publishing(
                tx,
                namespace_id=settings.edge_kv_namespace_id,
                writes_per_day=settings.edge_writes_per_day,
                now_ms=system_ms(),
            )
        )


async def _entries(session: Session) -> list[Lying]:
    secret = session.settings.edge_secret
    edge_key = key_of(secret.get_secret_value()) if secret is not None else None
    async with session.database() as database, database.reading() as tx:
        routes = await edge.routes_document(tx, session.master_key, edge_key)
        found = [Lying(name=ROUTES, value=text_of(routes))]
        after_id = 0
        while key_ids := await edge.key_ids_after(tx, after_id, PAGE):
            documents = await edge.tokens(tx, key_ids, system_ms())
            found += [Lying(name=one.name, value=one.text) for one in documents]
            after_id = key_ids[-1]
    return found
