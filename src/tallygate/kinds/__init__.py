"""The kinds there are: four bundled ones, and whatever TOML lies in the data folder's `kinds/`.

A file there takes the place of the bundled kind of its name. One that can not be read is named in
one line and takes down nobody but the credentials of its kind.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from tallygate.core.credential_kind import BadKind, Kind, parse

FILE_BYTES_MAX = 1 << 18


@dataclass(frozen=True, slots=True)
class Kinds:
    """`broken`: what is wrong with the kinds that can not be used, by name."""

    usable: Mapping[str, Kind]
    broken: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> Kind:
        """BadKind, in one line, if there is none."""
        if name in self.broken:
            raise BadKind(self.broken[name])
        if name not in self.usable:
            known = ", ".join(sorted(self.usable))
            raise BadKind(f"no kind is named {name!r}; there are {known}")
        return self.usable[name]


def load(folder: Path) -> Kinds:
    usable, broken = {}, {}
    bundled = resources.files(__name__)
    for file in bundled.iterdir():
        if file.name.endswith(".toml"):
            kind = parse(tomllib.loads(file.read_text("utf-8")))
            usable[kind.name] = kind
    for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
        try:
            usable[path.stem] = _read(path)
        except BadKind as error:
            usable.pop(path.stem, None)
            broken[path.stem] = f"kind {path.stem} ({path}): {error}"
    return Kinds(usable, broken)


def _read(path: Path) -> Kind:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise BadKind(f"is larger than {FILE_BYTES_MAX} bytes")
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadKind(f"can not be read: {error}") from error
    kind = parse(document)
    if kind.name != path.stem:
        raise BadKind(f"its name is {kind.name!r}: name the file {kind.name}.toml")
    return kind
