"""What is set, for whoever operates the server to look at: a secret only as being there or not."""

from typing import TYPE_CHECKING

import msgspec

from tallygate.config import names_of

if TYPE_CHECKING:
    from tallygate.config import Settings


class Setting(msgspec.Struct, kw_only=True):
    """`name` is what the environment calls it; `value` is null for a secret and where none is."""

    name: str
    aliases: list[str]
    value: str | None
    default: str | None
    is_set: bool
    is_secret: bool


def shown(settings: "Settings") -> list[Setting]:
    return [_shown(settings, field) for field in type(settings).model_fields]


def _shown(settings: "Settings", field: str) -> Setting:
    name, *aliases = names_of(field)
    declared = type(settings).model_fields[field]
    value, default = getattr(settings, field), declared.default
    is_secret = "SecretStr" in str(declared.annotation)
    return Setting(
        name=name,
        aliases=aliases,
        value=None if is_secret else _text(value),
        default=None if is_secret else _text(default),
        is_set=value != default,
        is_secret=is_secret,
    )


def _text(value: object) -> str | None:
    if value is None or value == "":
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
