"""/api/public/…: as much of Langfuse as Dify's tracing talks to, so that any Dify can be metered.

In Dify an app's tracing is set to Langfuse with our address and the app's own pair of keys. What it
exports goes to the clerk, which makes one event of each message or run.
"""

import base64
import binascii
import hmac
import zlib
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from tallygate.control import bodies
from tallygate.control.callers import client_address
from tallygate.control.orders import idempotency_key
from tallygate.control.parts import Parts
from tallygate.core import langfuse, otlp
from tallygate.core.dify_commands import DifyAppView, TakeTraces, TraceTold
from tallygate.core.errors import Code, Refusal
from tallygate.core.ports import Actor
from tallygate.store import dify_apps

BODY_BYTES_MAX = 16 << 20
SPOKEN_VERSION = "3.0.0"  # of Langfuse's API
_PROTOBUF = "application/x-protobuf"


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/public", tags=["langfuse"], include_in_schema=False)

    @router.get("/health")
    async def health() -> Response:
        return bodies.answer({"status": "OK", "version": SPOKEN_VERSION})

    @router.get("/projects")
    async def projects(request: Request) -> Response:
        """What Dify asks for when somebody presses «test connection»."""
        app = await _app_of(parts, request)
        organization = {"id": app.instance, "name": app.instance}
        project: dict[str, Any] = {
            "id": str(app.id),
            "name": app.name,
            "metadata": {},
            "retentionDays": None,
        }
        return bodies.answer({"data": [{**project, "organization": organization}]})

    @router.post("/ingestion")
    async def ingestion(request: Request) -> Response:
        """A batch of events; each is answered for itself."""
        app = await _app_of(parts, request)
        body = await _body(request)
        try:
            found = langfuse.read_batch(body)
        except langfuse.BadBatch as error:
            raise Refusal(Code.BAD_REQUEST, str(error)) from None
        await _send(parts, request, app, found.traces)
        answer = {
            "successes": [{"id": id_, "status": status} for id_, status in found.successes],
            "errors": [
                {"id": id_, "status": status, "message": message, "error": message}
                for id_, status, message in found.errors
            ],
        }
        return bodies.answer(answer, 207)

    @router.post("/otel/v1/traces")
    async def spans(request: Request) -> Response:
        """The same as spans, in protobuf or JSON; the answer says that all were taken."""
        app = await _app_of(parts, request)
        body = await _body(request)
        is_protobuf = request.headers.get("content-type", "").startswith(_PROTOBUF)
        read: Callable[[bytes], list[TraceTold]] = (
            otlp.read_protobuf if is_protobuf else otlp.read_json
        )
        try:
            traces = read(body)
        except otlp.BadSpans as error:
            raise Refusal(Code.BAD_REQUEST, str(error)) from None
        await _send(parts, request, app, traces)
        return Response(b"", 200, media_type=_PROTOBUF) if is_protobuf else bodies.answer({})

    return router


async def _send(parts: Parts, request: Request, app: DifyAppView, traces: list[TraceTold]) -> None:
    if traces:
        command = TakeTraces(app_id=app.id, traces=traces)
        actor = Actor(f"dify:{app.name}", client_address(request), request.state.request_id)
        await parts.clerk.command(command, actor, idempotency_key(request))


async def _app_of(parts: Parts, request: Request) -> DifyAppView:
    """The app whose pair came; a wrong one is not told from an unknown one."""
    public, secret = _basic(request.headers.get("authorization", ""))
    found: Any = None
    if public and secret:
        async with parts.database.reading() as tx:
            found = await dify_apps.find_tracing(tx, public)
    if found is None or not hmac.compare_digest(found[1], dify_apps.tracing_hash(secret)):
        raise Refusal(Code.UNAUTHORIZED, "send the app's tracing pair as user and password")
    view: DifyAppView = found[0]
    if not view.is_active:
        raise Refusal(Code.FORBIDDEN, "this Dify app has been deactivated")
    return view


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    public, _, secret = text.partition(":")
    return public, secret


async def _body(request: Request) -> bytes:
    received = bytearray()
    async for piece in request.stream():
        received += piece
        if len(received) > BODY_BYTES_MAX:
            raise _too_large()
    if request.headers.get("content-encoding", "").lower() != "gzip":
        return bytes(received)
    unpacking = zlib.decompressobj(wbits=31)
    try:
        body = unpacking.decompress(bytes(received), BODY_BYTES_MAX)
    except zlib.error:
        raise Refusal(Code.BAD_REQUEST, "the body is not gzip, as it says") from None
    if unpacking.unconsumed_tail:
        raise _too_large()
    return body


def _too_large() -> Refusal:
    return Refusal(Code.TOO_LARGE, f"the body is larger than {BODY_BYTES_MAX} bytes; send less")
