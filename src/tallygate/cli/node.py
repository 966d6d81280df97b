"""tallygate node: the nodes that share a store."""

import asyncio
from typing import Annotated, Any

import typer

from tallygate.cli import options, output
from tallygate.cli.failures import as_faults
from tallygate.cli.session import Session, open_session
from tallygate.control.bodies import rfc3339
from tallygate.core.commands import RetireNode
from tallygate.store import nodes

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_nodes(data: options.Data = None, as_json: options.Json = False) -> None:
    """Every node that ever used this store."""
    with as_faults():
        found = asyncio.run(_all(open_session(data)))
    if as_json:
        output.print_json([_row(one) for one in found])
        return
    output.print_table(
        ("name", "uuid", "first seen", "last seen", "retired"),
        (
            (
                one.name,
                one.uuid,
                output.moment(one.first_seen_ms),
                output.moment(one.last_seen_ms),
                output.moment(one.retired_ms) if one.retired_ms else "no",
            )
            for one in found
        ),
        "no node has used this store yet",
    )


async def _all(session: Session) -> list[nodes.Node]:
    async with session.database() as database, database.reading() as tx:
        return await nodes.list_nodes(tx)


def _row(one: nodes.Node) -> dict[str, str | None]:
    return {
        "uuid": one.uuid,
        "name": one.name,
        "first_seen": rfc3339(one.first_seen_ms),
        "last_seen": rfc3339(one.last_seen_ms),
        "retired_at": rfc3339(one.retired_ms),
    }


@app.command()
def retire(
    node: Annotated[str, typer.Argument(help="Its uuid, or its name if only one bears it.")],
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Give up a node that will not come back: what it had leased counts as spent."""
    with as_faults():
        done: dict[str, Any] = asyncio.run(
            open_session(data).order(RetireNode(node=node), dict[str, Any])
        )
    if as_json:
        output.print_json(done)
    else:
        units = sum(done["spent"].values())
        output.print_line(f"retired {done['node']}; {units} leased units count as spent")
