"""Small rules: what an upstream's status means, and which models a key may use."""

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
