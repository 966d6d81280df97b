"""Errors as the control plane answers them: `{"error": {"code", "message", "request_id"}}`, and
`param`, the field that it is about, where it is about one."""

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tallygate.core.errors import STATUS, Code, Refusal, StoreRefused, StoreUnavailable

log = structlog.get_logger("tallygate.control")

_CODE_OF_STATUS = {
    400: Code.BAD_REQUEST,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.TOO_LARGE,
}


class ErrorDetail(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`param` is there where the refusal is about one field or one word of the query."""

    code: str
    message: str
    request_id: str
    param: str | None = None


class ErrorAnswer(msgspec.Struct, kw_only=True):
    """Every refusal of this API; `code` is stable, `message` is for people."""

    error: ErrorDetail


def refuse(
    request: Request,
    code: Code,
    message: str,
    headers: dict[str, str] | None = None,
    param: str | None = None,
) -> Response:
    request_id = getattr(request.state, "request_id", "")
    detail = ErrorDetail(code=code.value, message=message, request_id=request_id, param=param)
    return Response(
        msgspec.json.encode(ErrorAnswer(error=detail)),
        STATUS[code],
        {"cache-control": "no-store", **(headers or {})},
        "application/json",
    )


class TryLater(Refusal):
    """A refusal that says when to come back."""

    def __init__(self, code: Code, message: str, retry_after_s: int) -> None:
        super().__init__(code, message)
        self.retry_after_s = retry_after_s


def install(application: FastAPI) -> None:
    """Answer every exception in this API's shape; what is unforeseen is logged whole."""

    @application.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> Response:
        headers = {}
        if isinstance(error, TryLater):
            headers["retry-after"] = str(error.retry_after_s)
        if error.status == 401:
            headers["www-authenticate"] = "Bearer"
        return refuse(request, error.code, error.message, headers, error.param)

    @application.exception_handler(StoreUnavailable)
    @application.exception_handler(StoreRefused)
    async def no_store(request: Request, error: Exception) -> Response:
        log.warning("store_unavailable", error=str(error))
        message = "the store did not answer; nothing was changed, try again"
        return refuse(request, Code.STORE_UNAVAILABLE, message, {"retry-after": "1"})

    @application.exception_handler(RequestValidationError)
    async def bad_parameter(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name = str(first["loc"][-1])
        message = f"`{name}`: {first['msg'].lower()}"
        return refuse(request, Code.BAD_REQUEST, message, param=name)

    @application.exception_handler(HTTPException)
    async def not_served(request: Request, error: HTTPException) -> Response:
        code = _CODE_OF_STATUS.get(error.status_code, Code.BAD_REQUEST)
        message = {
            Code.NOT_FOUND: "there is nothing here; /docs lists what is",
            Code.METHOD_NOT_ALLOWED: f"{request.method} is not allowed here; /docs lists what is",
        }.get(code, str(error.detail))
        return refuse(request, code, message, dict(error.headers or {}))

    @application.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        log.error("request_failed", request_id=request.state.request_id, exc_info=error)
        message = "an error of Tallygate's own; its log has the details under this request id"
        return refuse(request, Code.INTERNAL, message)
