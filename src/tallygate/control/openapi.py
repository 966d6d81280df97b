"""The OpenAPI document: FastAPI knows the paths, our structs are the schemas.

`described` is what each route adds to its decorator; `install` joins both into one document and
drops what FastAPI assumes of its own (its 422, its error shape).
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from tallygate import __version__
from tallygate.control.bodies import Body
from tallygate.control.cookies import COOKIE
from tallygate.control.refusals import ErrorAnswer

_REFERENCE = "#/components/schemas/{name}"
_SCHEMAS = "x-tallygate-schemas"  # what a route refers to; moved to where schemas belong
DESCRIPTION = """One gate for every token. Send the admin token as `Authorization: Bearer` or
`X-Admin-Token`, or sign in with `POST /api/session`; a member's API key opens `/api/user`. Every
changing call takes an `Idempotency-Key`: the same key with the same payload is answered with the
first result, with another payload it is refused (409)."""


def described(
    answer: Any,
    *,
    status: int = 200,
    body: type[Body] | None = None,
    note: str = "Done",
    query: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Keyword arguments for a route's decorator. `answer` is any type that msgspec knows.

    `query` names parameters that the call reads by itself, with what they mean.
    """
    schemas, components = _schemas([answer, *([body] if body else [])])
    extra: dict[str, Any] = {_SCHEMAS: components}
    if body is not None:
        extra["requestBody"] = {"content": _json(schemas[1])}
    if query:
        extra["parameters"] = [_parameter(name, meaning) for name, meaning in query.items()]
    responses = {status: {"description": note, "content": _json(schemas[0])}}
    return {"status_code": status, "responses": responses, "openapi_extra": extra}


def _parameter(name: str, meaning: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": "query", "description": meaning, "schema": schema}


def install(application: FastAPI) -> None:
    """Make the document once, on first demand."""

    def document() -> dict[str, Any]:
        if application.openapi_schema is None:
            application.openapi_schema = _document(application)
        return application.openapi_schema

    application.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to do it


def _document(application: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title="Tallygate",
        version=__version__,
        description=DESCRIPTION.replace("\n", " "),
        routes=application.routes,
    )
    _, components = _schemas([ErrorAnswer])
    for operations in document["paths"].values():
        for method, operation in operations.items():
            components |= operation.pop(_SCHEMAS, {})
            _finish(method, operation)
    document["components"] = {
        "schemas": dict(sorted(components.items())),
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-Admin-Token"},
            "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
        },
    }
    document["security"] = [{"bearer": []}, {"header": []}, {"session": []}]
    return document


def _finish(method: str, operation: dict[str, Any]) -> None:
    operation["responses"].pop("422", None)
    operation["responses"]["default"] = {
        "description": "Refused: the code is stable, the message is for people",
        "content": _json({"$ref": _REFERENCE.format(name=ErrorAnswer.__name__)}),
    }
    parameters = operation.get("parameters", [])
    if method != "get":
        operation["parameters"] = [*parameters, _IDEMPOTENCY_KEY]


def _schemas(kinds: list[Any]) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    return msgspec.json.schema_components(kinds, ref_template=_REFERENCE)


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def encoded(application: FastAPI) -> bytes:
    """The document as it is published, and kept under contract/."""
    return msgspec.json.format(msgspec.json.encode(application.openapi()), indent=2) + b"\n"
