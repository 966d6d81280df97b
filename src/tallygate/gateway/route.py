"""Which upstreams may answer a request, and how much of them it may cost."""

from tallygate.core.choice import Routes
from tallygate.core.errors import Code, Refusal
from tallygate.core.ports import Key
from tallygate.core.provider import Protocol, Provider
from tallygate.core.request import BadRequest, Dialect, MeteredRequest, read_request
from tallygate.gateway.verdicts import is_model_allowed

Candidates = tuple[tuple[Provider, str], ...]  # each with the name it calls the model


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
