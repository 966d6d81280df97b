"""docs/reference/api.md and contract/openapi.json: the HTTP API of operators.

The application is built out of parts that are never used: only its routes and schemas are read.
"""

import time
from pathlib import Path
from typing import Any

import msgspec

from tallygate.control import openapi
from tallygate.control.application import build_bare
from tallygate.control.authentication import AdminDoor, GuessBudget
from tallygate.control.metrics import renderer
from tallygate.control.parts import Parts
from tallygate.store.database import Database
from tallygate.wire.caller import Caller

_NO_SOCKET = Path("never-connected")

_HEAD = """# The HTTP API

Send the admin token as `Authorization: Bearer` or `X-Admin-Token`, or sign in with
`POST /api/session`; [roles](roles.md) says who may call what. JSON is parsed whatever the
Content-Type; an unknown field of a body is refused. Every changing call takes an `Idempotency-Key`.
Times are milliseconds under `/admin`, else RFC 3339 in UTC. Lists are
`?limit=&cursor=` → `{"items", "total", "next"}`; only `/admin/keys` is a bare array. The whole
contract is in `contract/openapi.json`; a running server shows it at `/docs`.
Written by `make docs`.

| call | body | answer | |
|---|---|---|---|
"""


def document() -> str:
    return _encoded().decode()


def page() -> str:
    found = msgspec.json.decode(_encoded())
    rows = [
        _row(method, path, operation)
        for path, operations in found["paths"].items()
        for method, operation in operations.items()
    ]
    return _HEAD + "".join(rows) + "".join(map(_schema, found["components"]["schemas"].items()))


def _encoded() -> bytes:
    nowhere = Caller(path=_NO_SOCKET)
    parts = Parts(
        database=Database("sqlite:///never-opened"),
        clerk=nowhere,
        door=AdminDoor("never asked", GuessBudget(time.monotonic)),
        master_key=b"",
        time_zone="UTC",
        keeps_sealed_keys=True,
        from_settings=None,
        node_name="",
        render_metrics=renderer(nowhere),
    )
    return openapi.encoded(build_bare(parts))


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    body = _type(_content(operation.get("requestBody", {})))
    answers = [
        f"{status} {_type(_content(answer))}"
        for status, answer in operation["responses"].items()
        if status != "default"
    ]
    return (
        f"| `{method.upper()} {path}` | {body} | {', '.join(answers)} "
        f"| {operation.get('description', '')} |\n"
    )


def _schema(item: tuple[str, dict[str, Any]]) -> str:
    name, schema = item
    lines = [f"\n## {name}\n\n{schema.get('description', '')}\n"]
    required = schema.get("required", [])
    if schema.get("properties"):
        lines.append("\n| field | type | |\n|---|---|---|\n")
    for field, kind in schema.get("properties", {}).items():
        lines.append(f"| `{field}` | {_type(kind)} | {'always' if field in required else ''} |\n")
    if "enum" in schema:
        lines.append(f"\n{_type(schema)}\n")
    return "".join(lines)


def _content(part: dict[str, Any]) -> dict[str, Any]:
    kinds: dict[str, Any] = part.get("content", {})
    schema: dict[str, Any] = kinds.get("application/json", {}).get("schema", {})
    return schema


def _type(schema: dict[str, Any]) -> str:
    if not schema:
        return ""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    low, high = schema.get("minimum"), schema.get("maximum")
    bounds = f" {low}…{high}" if low is not None and high is not None else ""
    return f"{schema.get('type', 'any')}{bounds}"
