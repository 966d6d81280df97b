"""Pages for people: the console's addresses, and `/docs`, which renders the OpenAPI document.

Plain HTML made here: no script and nothing from elsewhere, so that it works on a closed network
and under the strictest policy. Where the console was not built, such a page says how to.
"""

import html
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

from tallygate import __version__
from tallygate.control import console
from tallygate.control.parts import Parts
from tallygate.core.errors import StoreRefused, StoreUnavailable
from tallygate.store import providers

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em }
section { border-top: 1px solid #8886; margin-top: 1.5rem }
table { border-collapse: collapse } td, th { text-align: left; padding: 0.1rem 1rem 0.1rem 0;
vertical-align: top } .note { border-left: 4px solid #c80; padding-left: 1rem }
"""


def routes(parts: Parts, application: FastAPI) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    async def show(request: Request) -> Response:
        if parts.console.is_built:
            return parts.console.page(request)
        return _page("Tallygate", _home(await _is_demo(parts)))

    for path in console.PAGES:
        router.add_api_route(path, show, methods=["GET", "HEAD"])
    console.add_files(router, parts.console)

    @router.get("/docs")
    async def docs() -> Response:
        return _page("Tallygate API", "\n".join(_document(application.openapi())))

    return router


async def _is_demo(parts: Parts) -> bool | None:
    """None: the store can not be asked just now."""
    try:
        async with parts.database.reading() as tx:
            if parts.from_settings or await providers.list_all(tx, None):
                return False
            return not await providers.was_ever_configured(tx)
    except (StoreUnavailable, StoreRefused):
        return None


def _home(is_demo: bool | None) -> str:
    lines = [
        "<h1>Tallygate</h1><p>One gate for every token: API keys, hard quotas and metering for "
        "LLM APIs.</p>",
        "<p class='note'>The web console was not built here. In a checkout, "
        "<code>make setup</code> builds it; it then appears without a restart.</p>",
        "<ul><li><a href='/docs'>API documentation</a> "
        "(<a href='/openapi.json'>openapi.json</a>)</li>"
        "<li>Models: <code>/v1/models</code>, <code>/v1/chat/completions</code></li>"
        "<li>Keys: <code>tallygate keys create</code> or <code>POST /admin/keys</code></li></ul>",
    ]
    if is_demo is None:
        lines.append("<p class='note'>The store can not be reached just now.</p>")
    if is_demo:
        lines.append(
            f"<p class='note'>No provider is configured yet. Until one is, the demo model "
            f"<code>{providers.DEMO_MODEL}</code> answers by repeating what it was told. "
            "Set <code>DEEPSEEK_API_KEY</code> or add a provider with "
            "<code>POST /api/providers</code>.</p>"
        )
    return "\n".join([*lines, f"<p><small>Tallygate {__version__}</small></p>"])


def _document(document: dict[str, Any]) -> Iterator[str]:
    yield f"<h1>{_text(document['info']['title'])} API</h1>"
    yield f"<p>{_text(document['info']['description'])}</p>"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from _operation(path, method, operation)
    yield "<h2>Schemas</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield f"<section id='{_text(name)}'><h3>{_text(name)}</h3>"
        yield f"<p>{_text(schema.get('description', ''))}</p>{_fields(schema)}</section>"


def _operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"<section><h2><code>{method.upper()} {_text(path)}</code></h2>"
    yield f"<p>{_text(operation.get('description', operation.get('summary', '')))}</p><table>"
    for parameter in operation.get("parameters", []):
        where = f"{parameter['name']} ({parameter['in']})"
        yield f"<tr><th>{_text(where)}</th><td>{_type(parameter['schema'])}</td></tr>"
    if "requestBody" in operation:
        yield f"<tr><th>body</th><td>{_content(operation['requestBody'])}</td></tr>"
    for status, response in operation["responses"].items():
        yield f"<tr><th>{_text(status)}</th><td>{_content(response)}</td></tr>"
    yield "</table></section>"


def _content(part: dict[str, Any]) -> str:
    for kind in part.get("content", {}).values():
        return _type(kind.get("schema", {}))
    return _text(part.get("description", ""))


def _fields(schema: dict[str, Any]) -> str:
    rows = [
        f"<tr><th><code>{_text(name)}</code></th><td>{_type(kind)}</td></tr>"
        for name, kind in schema.get("properties", {}).items()
    ]
    return f"<table>{''.join(rows)}</table>" if rows else _type(schema)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = _text(schema["$ref"].rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"<code>{_text(one)}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    bounds = [
        f"{label} {schema[name]}"
        for name, label in (("minimum", "from"), ("maximum", "to"), ("maxLength", "length up to"))
        if name in schema
    ]
    return _text(" ".join([str(schema.get("type", "any")), *bounds]))


def _page(title: str, body: str) -> Response:
    content = (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{_text(title)}</title>"
        f"<meta name='viewport' content='width=device-width'><style>{_STYLE}</style></head>"
        f"<body>{body}</body></html>"
    )
    return Response(content, media_type="text/html", headers=_HEADERS)


def _text(value: object) -> str:
    return html.escape(str(value))
