"""GET /api/dify/config: what a page that embeds Dify asks first, also before anybody signs in.

It is asked at run time, so that one build of a page works on every server: a switch that is built
in (`VITE_ENABLE_DIFY_INTEGRATION` in the points system's own pages) has to be guessed in advance.
"""

import msgspec
from fastapi import APIRouter, Response

from tallygate.control import bodies
from tallygate.control.openapi import described
from tallygate.control.parts import Parts


class DifyConfig(msgspec.Struct, kw_only=True):
    """`enabled`: pages count points. `browser_trust` is what their reports are worth: `off`, `hint`
    (shown, and charged once a server-side source confirms it) or `charge`."""

    enabled: bool
    browser_trust: str


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/dify/config", tags=["dify"])
    config = DifyConfig(enabled=parts.dify_in_pages, browser_trust=parts.browser_trust.value)

    @router.get("", **described(DifyConfig))
    async def show_dify_config() -> Response:
        """Whether pages that embed Dify count points, and what their word is worth."""
        return bodies.answer(config)

    return router
