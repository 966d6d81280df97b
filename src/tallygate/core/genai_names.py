"""How OpenTelemetry's conventions for generative AI call what we route to.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ (in development there; 1.41).
"""

import urllib.parse
from typing import Final

import msgspec

from tallygate.core.provider import Snapshot

_OPERATIONS: Final = {
    "/v1/chat/completions": "chat",
    "/v1/messages": "chat",
    "/v1/responses": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
_DIFY: Final = (
    ("/chat-messages", "chat"),
    ("/completion-messages", "text_completion"),
    ("/run", "invoke_workflow"),
)
# The ends of hosts whose provider has a name of its own there.
_PROVIDERS: Final = (
    ("api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    ("api.deepseek.com", "deepseek"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.x.ai", "x_ai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.perplexity.ai", "perplexity"),
    (".openai.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".amazonaws.com", "aws.bedrock"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".ml.cloud.ibm.com", "ibm.watsonx.ai"),
)
_PORTS: Final = {"http": 80, "https": 443}


class Site(msgspec.Struct, frozen=True):
    """Where an upstream is. `system` is what the conventions, or else we, call its provider."""

    host: str = ""
    port: int = 0
    system: str = ""
    aliases: dict[str, str] = {}


class Sites:
    """The upstreams of a snapshot: providers and apps by name, routes by path."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._providers = {
            one.label: _site(one.base_url, one.label, one.aliases) for one in snapshot.providers
        }
        for app in snapshot.apps:
            self._providers[app.route] = _site(app.api_url, "dify", {})
        self._routes: dict[str, Site] = {}
        for route in snapshot.routes:
            site = _site(route.backend_url, "", {})
            # Of several hosts with the same path nobody knows which one was meant.
            known = self._routes.setdefault(route.path, site)
            if known != site:
                self._routes[route.path] = Site()

    def provider(self, name: str) -> Site:
        return self._providers.get(name) or Site(system=name)

    def route(self, path: str) -> Site:
        return self._routes.get(path) or Site()


def operation_of(route: str) -> str:
    """What is done at a path; nothing where the conventions have no word for it."""
    if not route.startswith("/dify/"):
        return _OPERATIONS.get(route, "")
    route = route.rstrip("/")
    return next((operation for end, operation in _DIFY if route.endswith(end)), "")


def _site(url: str, name: str, aliases: dict[str, str]) -> Site:
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    return Site(
        host=host,
        port=(parts.port or _PORTS.get(parts.scheme, 0)) if host else 0,
        system=_system(host, name),
        aliases=aliases,
    )


def _system(host: str, name: str) -> str:
    return next((system for end, system in _PROVIDERS if host.endswith(end)), name)
