"""/api/settings and /api/doctor: how this server is set up, and whether all is well with it."""

import asyncio

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import bodies
from tallygate.control.doctor import Diagnosis, read_diagnosis
from tallygate.control.languages import language_of
from tallygate.control.openapi import described
from tallygate.control.parts import Parts
from tallygate.control.shown_settings import Setting
from tallygate.control.users import Language


class ShownSettings(msgspec.Struct, kw_only=True):
    items: list[Setting]


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["setup"])
    alone = asyncio.Lock()  # each run opens the store once more

    @router.get("/settings", **described(ShownSettings))
    async def show_settings() -> Response:
        """Every setting as it is in force here; secrets only as being there or not."""
        return bodies.answer(ShownSettings(items=list(parts.settings)))

    @router.get("/doctor", **described(Diagnosis))
    async def ask_doctor(request: Request, language: Language | None = None) -> Response:
        """What `tallygate doctor` says: store, clock, secrets, journals and providers; in the
        language that is asked for, or in the caller's own."""
        spoken = await language_of(parts, request, language)
        async with alone:
            return bodies.answer(read_diagnosis(await parts.doctor(), spoken))

    return router
