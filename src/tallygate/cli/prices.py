"""tallygate prices: what each model costs, and since when."""

import asyncio
import datetime
import sys
from typing import Annotated, Literal

import typer
from msgspec import UNSET, UnsetType

from tallygate.cli import options, output, price_files, price_import
from tallygate.cli.failures import USAGE, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.control.models import ListedModel, PastModel, listed, model_of, past
from tallygate.core.errors import Code, Refusal
from tallygate.core.price_commands import Alias, Saved, SavePrice, SetAlias
from tallygate.core.price_import import Known
from tallygate.core.price_terms import Written
from tallygate.store import prices

app = typer.Typer(no_args_is_help=True)
app.command("import")(price_import.import_prices)

Model = Annotated[str, typer.Argument(help="The model's name; `*` for unknown models.")]
Decimal = Annotated[str | None, typer.Option(help="A decimal, per --per tokens.", metavar="PRICE")]


@app.command("list")
def list_prices(data: options.Data = None, as_json: options.Json = False) -> None:
    """What every model costs now."""
    with as_faults():
        found = asyncio.run(_all(open_session(data)))
    if as_json:
        output.print_json(found)
        return
    output.print_table(
        ("model", "input", "output", "cache read", "cache write", "request", "", "active"),
        (
            (
                one.model_name,
                one.input_token_price,
                one.output_token_price,
                "as input" if one.cache_read_token_price is None else one.cache_read_token_price,
                "as input" if one.cache_write_token_price is None else one.cache_write_token_price,
                one.request_price,
                f"{one.currency} per {one.per_tokens:,}",
                "yes" if one.is_active else "no",
            )
            for one in found
        ),
        "no prices yet: `tallygate prices import --catalogue` has some",
    )


async def _all(session: Session) -> list[ListedModel]:
    async with session.database() as database:
        now_ms = await database.clock_ms()
        async with database.reading() as tx:
            current = await prices.list_current(tx, now_ms)
            upcoming = await prices.list_upcoming(tx, now_ms)
            known = Known(current, await prices.read_aliases(tx))
    return [listed(one, known.aliases_of(one.model), upcoming) for one in current]


@app.command("set")
def set_price(
    model: Model,
    input: Decimal = None,
    output_: Annotated[
        str | None,
        typer.Option("--output", help="A decimal, per --per tokens.", metavar="PRICE"),
    ] = None,
    cache_read: Annotated[
        str | None, typer.Option(help="A decimal, or `none`: as input.", metavar="PRICE")
    ] = None,
    cache_write: Annotated[
        str | None, typer.Option(help="A decimal, or `none`: as input.", metavar="PRICE")
    ] = None,
    request: Annotated[
        str | None, typer.Option(help="A decimal, added once for a request.", metavar="PRICE")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="usd or points.")] = None,
    per: Annotated[int | None, typer.Option(help="1000 or 1000000 tokens.")] = None,
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", help="Inactive models are refused.")
    ] = None,
    effective: Annotated[
        datetime.datetime | None,
        typer.Option(
            "--from", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Not before then, in UTC."
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the version.")] = "",
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Set a model's price, or change some of it; what is not named stays as it is."""
    price = Written(
        input_token_price=UNSET if input is None else input,
        output_token_price=UNSET if output_ is None else output_,
        cache_read_token_price=_optional(cache_read),
        cache_write_token_price=_optional(cache_write),
        request_price=UNSET if request is None else request,
        currency=UNSET if currency is None else currency,
        per_tokens=UNSET if per is None else per,
        is_active=UNSET if active is None else active,
    )
    change = SavePrice(model=model, price=price, effective_ms=_ms(effective), reason=reason)
    with as_faults():
        saved = asyncio.run(_save(open_session(data), change))
    if as_json:
        output.print_json(model_of(saved.version))
    else:
        verb = "set" if saved.is_changed else "unchanged"
        output.print_line(f"{saved.version.model}: version {saved.version.id} {verb}")


async def _save(session: Session, change: SavePrice) -> Saved:
    """A change of a known model, or a new one."""
    async with session.clerk() as order:
        change.is_patch = True
        try:
            return await order(change, Saved)
        except Refusal as refusal:
            if refusal.code is not Code.NOT_FOUND:
                raise
        change.is_patch = False
        return await order(change, Saved)


@app.command()
def history(model: Model, data: options.Data = None, as_json: options.Json = False) -> None:
    """Every version of a model's price, with who made it and why."""
    with as_faults():
        found = asyncio.run(_versions(open_session(data), model))
    if as_json:
        output.print_json(found)
        return
    output.print_table(
        ("version", "state", "from", "input", "output", "", "active", "by", "reason"),
        (
            (
                one.version,
                one.state,
                one.effective_from,
                one.input_token_price,
                one.output_token_price,
                f"{one.currency} per {one.per_tokens:,}",
                "yes" if one.is_active else "no",
                one.admin_id,
                one.reason,
            )
            for one in found
        ),
        "no versions",
    )


async def _versions(session: Session, model: str) -> list[PastModel]:
    async with session.database() as database:
        now_ms = await database.clock_ms()
        async with database.reading() as tx:
            name = (await prices.known(tx, now_ms)).find(model)
            if name is None:
                raise Fault(f"no model is named {model!r}")
            return past(await prices.history(tx, name), now_ms)


@app.command()
def alias(
    name: Annotated[str, typer.Argument(help="The other name.")],
    model: Annotated[str | None, typer.Argument(help="The model that it means.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the name away.")] = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Give a model another name, or take one away."""
    if (model is None) != remove:
        raise Fault("name the model that it means, or --remove", USAGE)
    with as_faults():
        done = asyncio.run(open_session(data).order(SetAlias(name=name, model=model), Alias))
    if as_json:
        output.print_json(done)
    else:
        output.print_line(f"{name} means {done.model}" if done.model else f"{name} taken away")


@app.command()
def export(
    format: Annotated[Literal["csv", "json"], typer.Option(help="csv or json.")] = "json",
    data: options.Data = None,
) -> None:
    """Write all prices in effect to stdout; `prices import` reads them back."""
    with as_faults():
        rows = asyncio.run(_rows(open_session(data)))
    if format == "csv":
        sys.stdout.write(price_files.to_csv(rows))
    else:
        output.print_json(rows)


async def _rows(session: Session) -> list[dict[str, object]]:
    async with session.database() as database:
        now_ms = await database.clock_ms()
        async with database.reading() as tx:
            current = await prices.list_current(tx, now_ms)
            aliases = await prices.read_aliases(tx)
    in_effect = [one for one in current if one.effective_ms <= max(now_ms, one.created_ms)]
    return price_files.rows_of(in_effect, aliases)


def _optional(text: str | None) -> str | UnsetType | None:
    """None means as input."""
    if text is None:
        return UNSET
    return None if text == "none" else text


def _ms(moment: datetime.datetime | None) -> int | None:
    if moment is None:
        return None
    return int(moment.replace(tzinfo=datetime.UTC).timestamp() * 1000)
