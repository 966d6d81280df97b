"""Fields that are taken in either spelling, `input_tokens` and `inputTokens`: the seed shows both.

Only `/api/user/points` and `/api/dify` are read so; one thing said twice is refused.
"""

import re
from typing import TypeVar

import msgspec
from fastapi import Request

from tallygate.control import bodies
from tallygate.core.errors import Code, Refusal

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")

B = TypeVar("B", bound=bodies.Body)


def snake(name: str) -> str:
    return _HUMP.sub(lambda found: f"_{found[1].lower()}", name)


async def read(request: Request, kind: type[B]) -> B:
    """The body as `kind`, whichever way its fields are spelled."""
    received = await bodies.receive(request)
    try:
        fields = msgspec.json.decode(received or b"{}", type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return bodies.parse(received, kind)  # which says what is wrong
    return bodies.parse(msgspec.json.encode(_respelled(fields, kind)), kind)


def query(request: Request, name: str) -> str | None:
    """One parameter of the query; empty counts as not said."""
    found = {
        value
        for spelled, value in request.query_params.multi_items()
        if snake(spelled) == name and value != ""
    }
    if len(found) > 1:
        raise _twice(name)
    return next(iter(found), None)


def _respelled(fields: dict[str, msgspec.Raw], kind: type[bodies.Body]) -> dict[str, msgspec.Raw]:
    """Each field as `kind` spells it; what it does not know stays as it came."""
    known = {snake(name): name for name in kind.__struct_encode_fields__}
    respelled: dict[str, msgspec.Raw] = {}
    for spelled, value in fields.items():
        name = known.get(snake(spelled), spelled)
        if name in respelled:
            raise _twice(name)
        respelled[name] = value
    return respelled


def _twice(name: str) -> Refusal:
    return Refusal(Code.BAD_REQUEST, f"`{name}` is given twice", param=name)
