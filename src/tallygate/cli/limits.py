"""`tallygate users limits` and `tallygate teams limits`: what all keys of one may use together."""

import asyncio
from typing import Annotated

import msgspec
import typer

from tallygate.cli import options, output
from tallygate.cli.failures import USAGE, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.control.limits import shown_limits
from tallygate.core.commands import LimitSpec
from tallygate.core.errors import Code, Refusal
from tallygate.core.limit_commands import LimitsView, SetLimits
from tallygate.core.limits import AMOUNT_MAX, Dimension, Limit
from tallygate.core.money import BadAmount, parse_points
from tallygate.core.windows import Span, zone_of
from tallygate.store import budgets, limits

UNLIMITED = "unlimited"
_WRITTEN = "write DIMENSION/SPAN=AMOUNT, such as requests/minute=60 or points/month=500"

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="DIMENSION/SPAN=AMOUNT",
        help=(
            f"Of {', '.join(one.value for one in Dimension)}; per"
            f" {', '.join(one.value for one in Span)}; `{UNLIMITED}` only counts. Repeatable."
        ),
    ),
]
Remove = Annotated[
    list[str] | None,
    typer.Option("--remove", metavar="DIMENSION/SPAN", help="Take a limit away. Repeatable."),
]
Zone = Annotated[
    str | None, typer.Option(help="Where the days of those that are set begin, as Asia/Shanghai.")
]


def run(
    kind: str,
    subject_id: str,
    wanted: list[str] | None,
    unwanted: list[str] | None,
    zone: str | None,
    data: options.Data,
    as_json: bool,
) -> None:
    """Show the limits of a user or a team, changed before that if anything is to be."""
    changes: dict[tuple[str, str], LimitSpec | None] = {}
    for text in unwanted or ():
        changes[_named(text, "--remove")] = None
    for text in wanted or ():
        spec = _spec(text, zone)
        changes[spec.dimension, spec.span] = spec
    if zone is not None:
        _check_zone(zone)
    with as_faults():
        found = asyncio.run(_changed(open_session(data), kind, subject_id, changes))
    shown = shown_limits(found)
    if as_json:
        output.print_json({"limits": shown})
        return
    output.print_table(
        ("dimension", "span", "amount", "zone"),
        ((one.dimension, one.span, _amount_text(one.amount), one.zone) for one in shown),
        f"this {kind} has no limits",
    )


async def _changed(
    session: Session,
    kind: str,
    subject_id: str,
    changes: dict[tuple[str, str], LimitSpec | None],
) -> list[Limit]:
    """Those that are not named stay as they are, with what was used of them."""
    async with session.database() as database, database.reading() as tx:
        if not await budgets.subject_exists(tx, kind, subject_id):
            raise Refusal(Code.NOT_FOUND, f"there is no such {kind}")
        found = await limits.of_subjects(tx, [(kind, subject_id)])
    if not changes:
        return found
    specs = {(one.dimension.value, one.span.value): _kept(one) for one in found}
    for name, spec in changes.items():
        before = specs.pop(name, None)
        if spec is not None:
            zone = spec.zone or (before.zone if before is not None else None)
            specs[name] = msgspec.structs.replace(spec, zone=zone)
        elif before is None:
            raise Refusal(Code.NOT_FOUND, f"there is no limit of {'/'.join(name)}")
    change = SetLimits(subject_kind=kind, subject_id=subject_id, limits=list(specs.values()))
    return (await session.order(change, LimitsView)).limits


def _kept(one: Limit) -> LimitSpec:
    return LimitSpec(
        dimension=one.dimension.value, span=one.span.value, amount=one.amount, zone=one.zone
    )


def _spec(text: str, zone: str | None) -> LimitSpec:
    name, separator, amount = text.partition("=")
    if not separator:
        raise Fault(f"--set: {_WRITTEN}", USAGE)
    dimension, span = _named(name, "--set")
    return LimitSpec(dimension=dimension, span=span, amount=_amount(amount, dimension), zone=zone)


def _named(text: str, option: str) -> tuple[str, str]:
    dimension, _, span = text.partition("/")
    try:
        return Dimension(dimension).value, Span(span).value
    except ValueError:
        raise Fault(f"{option}: {text!r} names no limit; {_WRITTEN}", USAGE) from None


def _amount(text: str, dimension: str) -> int | None:
    if text == UNLIMITED:
        return None
    try:
        amount = parse_points(text) if dimension == Dimension.POINTS.value else int(text)
    except (BadAmount, ValueError):
        amount = -1
    if not 0 <= amount <= AMOUNT_MAX:
        raise Fault(f"--set: {text!r} is no amount of {dimension}", USAGE)
    return amount


def _check_zone(zone: str) -> None:
    try:
        zone_of(zone)
    except ValueError as error:
        raise Fault(f"--zone: {error}", USAGE) from None


def _amount_text(amount: msgspec.Raw | None) -> str:
    return UNLIMITED if amount is None else bytes(amount).decode()
