"""What is wrong with somebody's JSON: msgspec's complaints as refusals."""

import re

import msgspec

from tallygate.core.errors import Code, Refusal
from tallygate.core.json_choices import choices_at

_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<name>.*?)`(?: - at `(?P<at>.*)`)?")
_AT = re.compile(r"(?P<what>.*) - at `\$\.?(?P<at>.*)`", re.DOTALL)
_NO_CHOICE = "invalid enum value"
_MISSING = re.compile(r"Object missing required field `(?P<name>.*?)`")


def refusal_of(complaint: str, kind: type[msgspec.Struct]) -> Refusal:
    """A refusal that names the field at fault, of an object that was to be read as `kind`."""
    if unknown := _UNKNOWN_FIELD.fullmatch(complaint):
        at = (unknown["at"] or "$").removeprefix("$").removeprefix(".")
        name = f"{at}.{unknown['name']}" if at else unknown["name"]
        known = ", ".join(kind.__struct_encode_fields__)
        hint = "" if at else f"; known fields: {known}" if known else "; this call takes none"
        return Refusal(Code.UNKNOWN_FIELD, f"unknown field `{name}`{hint}", param=name)
    if located := _AT.fullmatch(complaint):
        name = located["at"]
        what = located["what"][0].lower() + located["what"][1:]
        if what.startswith(_NO_CHOICE):
            choices = ", ".join(choices_at(kind, name))
            what = f"use one of {choices}, not{what.removeprefix(_NO_CHOICE)}"
        return Refusal(Code.BAD_REQUEST, f"`{name}`: {what}", param=name)
    if missing := _MISSING.fullmatch(complaint):
        name = missing["name"]
        return Refusal(Code.BAD_REQUEST, f"`{name}` is required", param=name)
    return Refusal(Code.BAD_REQUEST, f"the body must be a JSON object: {complaint}")
