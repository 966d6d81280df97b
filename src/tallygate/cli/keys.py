"""tallygate keys: who may come in."""

import asyncio
import datetime
from typing import Annotated

import msgspec
import typer

from tallygate.cli import options, output
from tallygate.cli.failures import USAGE, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.control.keys import ApiKey, api_key
from tallygate.core.commands import (
    CreateKey,
    DeactivateUnusedKeys,
    DeleteKey,
    KeyView,
    RotateKey,
)
from tallygate.core.limits import AMOUNT_MAX
from tallygate.store import keys

app = typer.Typer(no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The key itself, or its id.")]


class Deactivated(msgspec.Struct):
    deactivated: list[KeyView]


@app.command("list")
def list_keys(data: options.Data = None, as_json: options.Json = False) -> None:
    """Every key that exists, masked."""
    with as_faults():
        found = asyncio.run(_all(open_session(data)))
    if as_json:
        output.print_json([api_key(view) for view in found])
    else:
        _print_keys(found, "no keys yet: `tallygate keys create` makes one")


async def _all(session: Session) -> list[KeyView]:
    async with session.database() as database, database.reading() as tx:
        return await keys.list_views(tx)


@app.command()
def create(
    label: Annotated[str, typer.Option(help="What the key is for.")] = "",
    daily_limit: Annotated[
        str | None,
        typer.Option(help="Requests a day, or `unlimited`; DAILY_REQ_LIMIT if not given."),
    ] = None,
    user: Annotated[str, typer.Option(help="The user it belongs to.")] = "",
    expires: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="The end of it, in UTC."),
    ] = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Make a key and print it. The first one makes the store, too."""
    change = CreateKey(label=label, user_id=user, expires_ms=_expiry(expires))
    if daily_limit is not None:
        change.daily_limit = _amount(daily_limit)
    with as_faults():
        session = open_session(data)
        session.make_store()
        made = asyncio.run(session.order(change, KeyView))
    _print_made(made, as_json)


@app.command()
def revoke(key: Key, data: options.Data = None, as_json: options.Json = False) -> None:
    """Delete a key: it is unknown everywhere within a second. Its history stays."""
    with as_faults():
        gone = asyncio.run(open_session(data).order(DeleteKey(key=key), KeyView))
    if as_json:
        output.print_json(api_key(gone))
    else:
        output.print_line(f"revoked {gone.masked} (id {gone.id})")


@app.command()
def rotate(
    key: Key,
    grace: Annotated[
        int, typer.Option(min=0, help="Seconds for which the old secret still works.")
    ] = 0,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Give a key a new secret and print it; limits, counters and history stay."""
    with as_faults():
        change = RotateKey(key=key, grace_s=grace)
        made = asyncio.run(open_session(data).order(change, KeyView))
    _print_made(made, as_json)


@app.command("deactivate-unused")
def deactivate_unused(
    days: Annotated[
        int, typer.Option(min=1, help="Unused for that long; younger ones are spared.")
    ],
    dry_run: options.DryRun = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Deactivate keys that nobody uses any more."""
    with as_faults():
        change = DeactivateUnusedKeys(days=days, is_dry_run=dry_run)
        done = asyncio.run(open_session(data).order(change, Deactivated))
    if as_json:
        output.print_json({"deactivated": [api_key(view) for view in done.deactivated]})
        return
    _print_keys(done.deactivated, f"no key was unused for {days} days")
    if done.deactivated:
        verb = "would be deactivated" if dry_run else "deactivated"
        output.print_line(f"{len(done.deactivated)} {verb}")


def _print_keys(found: list[KeyView], empty: str) -> None:
    output.print_table(
        ("id", "key", "label", "a day", "active", "created", "last used"),
        (
            (
                view.id,
                view.masked,
                view.label,
                "unlimited" if view.daily_limit is None else view.daily_limit,
                "yes" if view.is_active else "no",
                output.moment(view.created_ms),
                output.moment(view.last_used_ms),
            )
            for view in found
        ),
        empty,
    )


def _print_made(made: KeyView, as_json: bool) -> None:
    shown: ApiKey = api_key(made)
    if as_json:
        output.print_json(shown)
        return
    assert made.secret is not None, "a secret that was just made is answered"
    output.print_line(made.secret)
    limit = "unlimited" if made.daily_limit is None else f"{made.daily_limit} requests a day"
    output.say(f"id {made.id}, {limit}")


def _amount(text: str) -> int | None:
    if text == "unlimited":
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 16 and int(text) <= AMOUNT_MAX:
        return int(text)
    raise Fault(f"--daily-limit: use a whole number from 0 to {AMOUNT_MAX}, or `unlimited`", USAGE)


def _expiry(moment: datetime.datetime | None) -> int | None:
    if moment is None:
        return None
    return int(moment.replace(tzinfo=datetime.UTC).timestamp() * 1000)
