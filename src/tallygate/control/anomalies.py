"""/api/anomalies: what keys do out of the ordinary, with its evidence; acknowledging it."""

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import bodies, lists
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.own_account import own_id
from tallygate.control.parts import Parts
from tallygate.core.anomalies import STATES, Evidence, Kind, Throttle
from tallygate.core.anomaly_commands import (
    AcknowledgeAnomaly,
    AnomalyView,
    KeyThrottleView,
    SetKeyThrottle,
)
from tallygate.core.errors import Code, Refusal
from tallygate.store import anomalies, keys
from tallygate.store.anomalies import Filter

_KINDS: Final = tuple(kind.value for kind in Kind)
_CHOICES: Final = {"state": STATES, "kind": _KINDS}
_QUERY: Final = {
    "state": ", ".join(STATES),
    "kind": ", ".join(_KINDS),
    "key": "a key's id, or the key itself",
}
_OWN_QUERY: Final = {name: _QUERY[name] for name in _CHOICES}


class Acknowledgement(bodies.Body, kw_only=True):
    """`lift_throttle` false leaves the key as slow, or as stopped, as it is, for good."""

    note: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    lift_throttle: bool = True


class ThrottleChange(bodies.Body, kw_only=True):
    """What an anomaly does to this key; null: what the setting says."""

    throttle: Throttle | None


class FirstUse(msgspec.Struct, kw_only=True):
    request_id: str
    at: str
    route: str
    model: str
    status: int
    address: str
    agent: str


class SeenHour(msgspec.Struct, kw_only=True):
    begins_at: str
    seen: int


class ShownEvidence(msgspec.Struct, kw_only=True):
    """What was expected, what was seen, how unlikely that is, and the first uses.

    `log10_chance` is a probability as a power of ten, by the key's own habit. `score` and `record`
    say how far off this hour and the strangest one before it are, in units of the usual spread.
    """

    what: str
    expected: float | None
    seen: float | None
    uses: int | None
    log10_chance: float | None
    score: float | None
    record: float | None
    hours: list[SeenHour]
    sources: list[str]
    usual_sources: list[str]
    quiet_days: float | None
    longest_quiet_days: float | None
    first_uses: list[FirstUse]


class Anomaly(msgspec.Struct, kw_only=True):
    """`ended_at` null: it goes on. `throttle` is what holds for the key because of it."""

    id: str
    kind: str
    state: str
    key_id: str
    key_label: str
    user_id: str
    started_at: str
    last_at: str
    ended_at: str | None
    evidence: ShownEvidence
    acknowledged_by: str | None
    acknowledged_at: str | None
    note: str
    throttle: str
    throttled_until: str | None


class KeyThrottle(msgspec.Struct, kw_only=True):
    key_id: str
    throttle: str | None


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(tags=["anomalies"])
    _reading(router, parts)
    _changing(router, parts)
    return router


def _reading(router: APIRouter, parts: Parts) -> None:
    @router.get("/api/anomalies", **described(lists.Page[Anomaly], query=_QUERY))
    async def list_anomalies(
        request: Request, limit: str | None = None, cursor: str | None = None
    ) -> Response:
        """Anomalies, the newest first."""
        asked = request.query_params
        chosen = _chosen(asked)
        key_id = await _key_id(parts, asked["key"]) if asked.get("key") else None
        wanted = Filter(state=chosen["state"], kind=chosen["kind"], key_id=key_id)
        return bodies.answer(await _page(parts, wanted, limit, cursor))

    @router.get("/api/user/anomalies", **described(lists.Page[Anomaly], query=_OWN_QUERY))
    async def list_own_anomalies(
        request: Request, limit: str | None = None, cursor: str | None = None
    ) -> Response:
        """Those of one's own keys, the newest first."""
        chosen = _chosen(request.query_params)
        wanted = Filter(chosen["state"], chosen["kind"], user_id=own_id(request))
        return bodies.answer(await _page(parts, wanted, limit, cursor))

    @router.get("/api/anomalies/{anomaly_id}", **described(Anomaly))
    async def show_anomaly(anomaly_id: str) -> Response:
        """One anomaly."""
        async with parts.database.reading() as tx:
            found = await anomalies.find(tx, _read_id(anomaly_id))
        if found is None:
            raise _unknown()
        return bodies.answer(shown(found))

    @router.get("/api/anomalies/throttles/{key}", **described(KeyThrottle))
    async def show_key_throttle(key: str) -> Response:
        """What an anomaly does to this key."""
        async with parts.database.reading() as tx:
            view = await keys.find_view(tx, key)
            if view is None:
                raise Refusal(Code.NOT_FOUND, "there is no such key")
            of_key = (await anomalies.key_throttles(tx, [view.id])).get(view.id)
        return bodies.answer(KeyThrottle(key_id=str(view.id), throttle=of_key))


def _changing(router: APIRouter, parts: Parts) -> None:
    @router.post(
        "/api/anomalies/{anomaly_id}/acknowledge", **described(Anomaly, body=Acknowledgement)
    )
    async def acknowledge_anomaly(request: Request, anomaly_id: str) -> Response:
        """Somebody has seen to it. The key gets back what anomalies took from it."""
        body = await bodies.read(request, Acknowledgement)
        change = AcknowledgeAnomaly(
            anomaly_id=_read_id(anomaly_id), note=body.note, lift_throttle=body.lift_throttle
        )
        return bodies.answer(shown(await order(parts.clerk, request, change, AnomalyView)))

    @router.put("/api/anomalies/throttles/{key}", **described(KeyThrottle, body=ThrottleChange))
    async def set_key_throttle(request: Request, key: str) -> Response:
        """Say what an anomaly does to this key, whatever the setting says."""
        body = await bodies.read(request, ThrottleChange)
        change = SetKeyThrottle(key=key, throttle=body.throttle)
        view = await order(parts.clerk, request, change, KeyThrottleView)
        return bodies.answer(KeyThrottle(key_id=str(view.key_id), throttle=view.throttle))


def shown(view: AnomalyView) -> Anomaly:
    """An anomaly as the API and the command line answer it."""
    return Anomaly(
        id=str(view.id),
        kind=view.kind,
        state=view.state,
        key_id=str(view.key_id),
        key_label=view.key_label,
        user_id=view.user_id,
        started_at=_time(view.started_ms),
        last_at=_time(view.last_ms),
        ended_at=bodies.rfc3339(view.ended_ms),
        evidence=_evidence(view.evidence),
        acknowledged_by=view.acknowledged_by or None,
        acknowledged_at=bodies.rfc3339(view.acknowledged_ms),
        note=view.note,
        throttle=view.throttle,
        throttled_until=bodies.rfc3339(view.throttled_until_ms),
    )


def _evidence(found: Evidence) -> ShownEvidence:
    return ShownEvidence(
        what=found.what,
        expected=found.expected,
        seen=found.seen,
        uses=found.uses,
        log10_chance=found.chance,
        score=found.score,
        record=found.record,
        hours=[SeenHour(begins_at=_time(at_s * 1000), seen=seen) for at_s, seen in found.hours],
        sources=found.sources,
        usual_sources=found.usual,
        quiet_days=found.quiet_days,
        longest_quiet_days=found.longest_days,
        first_uses=[
            FirstUse(
                request_id=use.request_id,
                at=_time(use.at_ms),
                route=use.route,
                model=use.model,
                status=use.status,
                address=use.address,
                agent=use.agent,
            )
            for use in found.rows
        ],
    )


def _time(at_ms: int) -> str:
    return bodies.rfc3339(at_ms) or ""


async def _page(parts: Parts, wanted: Filter, limit: str | None, cursor: str | None) -> object:
    size, before_id = lists.read_limit(limit), lists.read_cursor(cursor)
    async with parts.database.reading() as tx:
        rows, total = await anomalies.page(tx, wanted, limit=size + 1, before_id=before_id)
    items = [shown(row) for row in rows[:size]]
    following = items[-1].id if len(rows) > size else None
    return lists.Page(items=items, total=total, next=following)


def _chosen(asked: Mapping[str, str]) -> dict[str, str | None]:
    for name, known in _CHOICES.items():
        if asked.get(name) and asked[name] not in known:
            raise Refusal(Code.BAD_REQUEST, f"`{name}`: use one of {', '.join(known)}", param=name)
    return {name: asked.get(name) or None for name in _CHOICES}


async def _key_id(parts: Parts, key: str) -> int:
    """A deleted key's anomalies are found by its id."""
    async with parts.database.reading() as tx:
        found = await keys.find_view(tx, key)
    if found is not None:
        return found.id
    if key.isascii() and key.isdecimal() and len(key) <= 18:
        return int(key)
    raise Refusal(Code.NOT_FOUND, "there is no such key")


def _read_id(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    raise _unknown()


def _unknown() -> Refusal:
    return Refusal(Code.NOT_FOUND, "there is no such anomaly")
