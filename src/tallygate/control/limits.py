"""Limits in bodies and answers; /api/users/{id}/limits and /api/teams/{id}/limits.

Points are written and shown as decimals, everything else as whole numbers.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import bodies
from tallygate.control.amounts import Points, points
from tallygate.control.bodies import Amount
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.commands import LimitSpec
from tallygate.core.errors import Code, Refusal
from tallygate.core.limit_commands import LimitsView, SetLimits
from tallygate.core.limits import Dimension, Limit
from tallygate.core.money import BadAmount, parse_points
from tallygate.core.windows import Span, zone_of
from tallygate.store import accounts, limits, teams

# Beside whole numbers, so it is read as a number at once.
_PointsIn = Annotated[
    Decimal, msgspec.Meta(description="points, as a number or a text; at most six decimals")
]


class ApiLimit(bodies.Body, kw_only=True):
    """`amount` per `span`; null counts without ever refusing. Of points it may have decimals."""

    dimension: Dimension = Dimension.REQUESTS
    span: Span = Span.DAY
    amount: Amount | _PointsIn | None
    zone: Annotated[str, msgspec.Meta(max_length=64)] | None = None


Limits = Annotated[list[ApiLimit], msgspec.Meta(max_length=32)]


class SubjectLimits(bodies.Body, kw_only=True):
    """All of them: what is left out is deleted, what stays keeps what was used of it."""

    limits: Limits


class ShownLimit(msgspec.Struct, kw_only=True):
    """`amount_micros` is there for points only."""

    dimension: str
    span: str
    amount: Points | None
    amount_micros: int | UnsetType = UNSET
    zone: str


class ShownLimits(msgspec.Struct, kw_only=True):
    limits: list[ShownLimit]


_SUBJECTS: Final = {
    limits.USER: ("/api/users/{id}/limits", accounts.find),
    limits.TEAM: ("/api/teams/{id}/limits", teams.find),
}


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(tags=["limits"])
    _of(router, parts, limits.USER)
    _of(router, parts, limits.TEAM)
    return router


def _of(router: APIRouter, parts: Parts, kind: str) -> None:
    path, find = _SUBJECTS[kind]

    @router.get(path, name=f"show_{kind}_limits", **described(ShownLimits))
    async def show_limits(id: str) -> Response:
        """What all keys that belong here may use together."""
        async with parts.database.reading() as tx:
            if await find(tx, id) is None:
                raise Refusal(Code.NOT_FOUND, f"there is no such {kind}")
            found = await limits.of_subjects(tx, [(kind, id)])
        return bodies.answer(ShownLimits(limits=shown_limits(found)))

    @router.put(path, name=f"set_{kind}_limits", **described(ShownLimits, body=SubjectLimits))
    async def set_limits(request: Request, id: str) -> Response:
        """Set what all keys that belong here may use together; gateways obey within a second."""
        body = await bodies.read(request, SubjectLimits)
        specs = limit_specs(body.limits)
        change = SetLimits(subject_kind=kind, subject_id=id, limits=specs)
        view = await order(parts.clerk, request, change, LimitsView)
        return bodies.answer(ShownLimits(limits=shown_limits(view.limits)))


def shown_limits(found: Sequence[Limit]) -> list[ShownLimit]:
    return [_shown(limit) for limit in found]


def _shown(limit: Limit) -> ShownLimit:
    shown = ShownLimit(
        dimension=limit.dimension.value, span=limit.span.value, amount=None, zone=limit.zone
    )
    if limit.amount is not None and limit.dimension is Dimension.POINTS:
        shown.amount, shown.amount_micros = points(limit.amount), limit.amount
    elif limit.amount is not None:
        shown.amount = msgspec.Raw(str(limit.amount).encode())
    return shown


def limit_specs(given: list[ApiLimit]) -> list[LimitSpec]:
    specs = []
    for limit in given:
        if limit.zone is not None:
            try:
                zone_of(limit.zone)
            except ValueError as error:
                raise Refusal(Code.BAD_REQUEST, f"`limits`: {error}", param="limits") from None
        specs.append(
            LimitSpec(
                dimension=limit.dimension.value,
                span=limit.span.value,
                amount=_amount(limit),
                zone=limit.zone,
            )
        )
    return specs


def _micros(amount: int | Decimal) -> int:
    try:
        return parse_points(amount)
    except BadAmount as error:
        raise Refusal(Code.BAD_REQUEST, f"`limits[].amount`: {error}", param="limits") from None


def _amount(limit: ApiLimit) -> int | None:
    amount = limit.amount
    if amount is None:
        return None
    if limit.dimension is Dimension.POINTS:
        micros = _micros(amount)
        if micros < 0:
            raise Refusal(Code.BAD_REQUEST, "`limits[].amount`: at least 0", param="limits")
        return micros
    if not isinstance(amount, int):
        message = f"`limits[].amount`: a whole number of {limit.dimension.value}"
        raise Refusal(Code.BAD_REQUEST, message, param="limits")
    return amount
