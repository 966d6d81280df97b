"""What a field of a body may be, where it may only be one of a few values.

msgspec's complaint about such a field says what was sent, not what would do.
"""

import re
from collections.abc import Iterator

import msgspec
from msgspec import inspect

_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")  # a member's name, or an item


def choices_at(kind: type[msgspec.Struct], at: str) -> list[str]:
    """The values that the field at a path like `limits[0].span` takes; none where any may do."""
    found = [inspect.type_info(kind)]
    for step in _STEP.findall(at):
        found = [inner for one in found for plain in _plain(one) for inner in _inside(plain, step)]
    return [text for one in found for plain in _plain(one) for text in _values(plain)]


def _plain(one: inspect.Type) -> Iterator[inspect.Type]:
    """The types that a union is made of, without their descriptions."""
    if isinstance(one, inspect.UnionType):
        for member in one.types:
            yield from _plain(member)
    elif isinstance(one, inspect.Metadata):
        yield from _plain(one.type)
    else:
        yield one


def _inside(one: inspect.Type, step: str) -> Iterator[inspect.Type]:
    if isinstance(one, inspect.StructType):
        yield from (field.type for field in one.fields if field.encode_name == step)
    elif isinstance(one, inspect.CollectionType):
        yield one.item_type
    elif isinstance(one, inspect.DictType):
        yield one.value_type


def _values(one: inspect.Type) -> list[str]:
    if isinstance(one, inspect.LiteralType):
        return [str(value) for value in one.values]
    if isinstance(one, inspect.EnumType):
        return [str(member.value) for member in one.cls]
    return ["true", "false"] if isinstance(one, inspect.BoolType) else []
