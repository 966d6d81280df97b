"""Which upstreams may answer a request, and how much of them it may cost."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tallygate.core.choice import Routes
from tallygate.core.errors import Code, Refusal
from tallygate.core.ports import Key
from tallygate.core.provider import Protocol, Provider
from tallygate.core.request import BadRequest, Dialect, MeteredRequest, read_request
from tallygate.gateway.dify_call import DifyCall
from tallygate.gateway.dify_path import DifyPath
from tallygate.gateway.known_keys import KnownKey
from tallygate.gateway.upstreams import Candidate
from tallygate.gateway.verdicts import is_model_allowed

if TYPE_CHECKING:
    from tallygate.gateway.exchange import MeteredExchange

Candidates = tuple[Candidate, ...]


def find_way(exchange: "MeteredExchange", known: KnownKey, wall_ms: int) -> None:
    """Who may answer the exchange, and what it may take of every limit; Refusal when nobody may."""
    gateway, plan, key = exchange.gateway, exchange.plan, known.key
    if plan.dify is not None:
        _find_app(exchange, plan.dify, known)
        return
    if plan.dialect is None:
        exchange.candidates = gateway.passthrough_candidates(plan.route, key.scopes)
        if known.is_priced:
            tariff = exchange.tariff = gateway.prices.request_tariff(plan.route, wall_ms)
            exchange.micros_at_most = tariff.at_most(0, 0)
        return
    request = exchange.request = read(plan.dialect, exchange.body, key)
    model = exchange.model = request.model
    found = exchange.candidates = candidates(gateway.upstreams.routes, model, plan.protocol)
    tokens = exchange.tokens_at_most = tokens_at_most(request, found, gateway.default_output_tokens)
    if known.is_priced:
        tariff = exchange.tariff = gateway.prices.tariff(model, found[0][1], wall_ms)
        tokens_in = request.input_tokens_estimate
        exchange.micros_at_most = tariff.at_most(tokens_in, tokens - tokens_in)


def _find_app(exchange: "MeteredExchange", path: DifyPath, known: KnownKey) -> None:
    """What an app will cost is known when it has answered: until then a fixed sum is set aside."""
    call = exchange.dify = DifyCall(exchange.gateway, exchange.head, path, known.key)
    request = exchange.request = call.read(exchange.plan.dialect, exchange.body)
    exchange.model = request.model
    exchange.candidates = call.candidates
    exchange.tokens_at_most = tokens_at_most(
        request, call.candidates, exchange.gateway.default_output_tokens
    )
    exchange.micros_at_most = call.hold_micros if known.is_priced else 0


def read(dialect: Dialect, body: bytes, key: Key) -> MeteredRequest:
    """The request in a body, if the key may use its model."""
    try:
        request = read_request(dialect, body)
    except BadRequest as error:
        raise Refusal(Code.BAD_REQUEST, error.message, param=error.param) from None
    if key.models is not None and not is_model_allowed(request.model, key.models):
        raise Refusal(
            Code.MODEL_NOT_ALLOWED,
            f"This API key may not use the model {request.model!r}.",
            param="model",
        )
    return request


def candidates(routes: Routes, model: str, protocol: Protocol) -> Candidates:
    """Whoever serves the model in this protocol; Refusal when nobody does."""
    found = routes.candidates(model, protocol)
    if found:
        return found
    if routes.is_empty:
        raise Refusal(Code.NO_PROVIDER, "No provider is configured.")
    raise Refusal(
        Code.MODEL_NOT_FOUND,
        f"The model {model!r} does not exist here. GET /v1/models lists what does.",
        param="model",
    )


def tokens_at_most(request: MeteredRequest, found: Candidates, default_output: int) -> int:
    """What the request may cost: its input and the most it may put out, for each choice."""
    provider, name = found[0]
    cap = provider.output_tokens_max.get(name)
    output = request.max_output_tokens
    if output is None:
        output = default_output if cap is None else cap
    elif cap is not None:
        output = min(output, cap)
    return max(1, request.input_tokens_estimate + output * request.choices)


def passthrough(providers: Iterable[Provider], route: str, scopes: tuple[str, ...]) -> Candidates:
    """Providers that take this other /v1 path, if a scope of the key allows it."""
    if "passthrough" in scopes or route in scopes:
        found = tuple(
            (one, "") for one in providers if any(_covers(two, route) for two in one.passthrough)
        )
        if found:
            return found
    raise Refusal(Code.NOT_FOUND, f"Nothing is served at {route}.")


def _covers(pattern: str, route: str) -> bool:
    return route.startswith(pattern[:-1]) if pattern.endswith("*") else route == pattern
