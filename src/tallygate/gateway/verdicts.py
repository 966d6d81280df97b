"""Small rules: what an upstream's status means, and which models a key may use."""

from tallygate.core.errors import Code, Refusal
from tallygate.wire.upstream import Loss

# The upstream's own trouble, or the operator's with it: the unit is given back, another may try.
_GIVEN_BACK = frozenset((401, 402, 403, 407, 408, 429))
# Their bodies may quote the operator's own credentials.
_WITHHELD = frozenset((401, 402, 403, 407))


def is_given_back(status: int) -> bool:
    return status in _GIVEN_BACK or status >= 500 or 300 <= status < 400


def is_withheld(status: int) -> bool:
    """The status goes on to the client, the text does not. Redirects are never followed."""
    return status in _WITHHELD or 300 <= status < 400


def is_model_allowed(model: str, allowed: tuple[str, ...]) -> bool:
    """A trailing * matches any ending."""
    return any(model.startswith(one[:-1]) if one.endswith("*") else model == one for one in allowed)


def refusal_of_loss(loss: Loss) -> Refusal:
    """What a client is told when no upstream answered."""
    if loss is Loss.TIMED_OUT:
        return Refusal(Code.UPSTREAM_TIMEOUT, "The provider did not answer in time.")
    if loss is Loss.MALFORMED:
        return Refusal(Code.UPSTREAM_MISBEHAVED, "The provider's answer is malformed.")
    return Refusal(Code.UPSTREAM_UNREACHABLE, "The provider could not be reached.")


def refusal_of_withheld(status: int) -> tuple[Refusal, int]:
    """What takes the place of a text that is not for clients, and under which status."""
    if status < 400:
        text = "The provider answered with a redirect, which is never followed."
        return Refusal(Code.UPSTREAM_MISBEHAVED, text), 502
    text = "The provider refused this gateway's own credentials or account; tell its operator."
    return Refusal(Code.UPSTREAM_REFUSED, text), status
