"""`core` decides and does nothing else, so that its tests need no clock, no socket and no luck."""

import ast
from collections.abc import Iterator

from tests.tidy.source import Module, bindings, imports, modules_in, parse, references, violations

IMPURE = {
    "asyncio": "core decides; whoever calls it waits",
    "io": "core reads bytes it is given",
    "logging": "core returns what happened; whoever calls it tells",
    "os": "paths and the environment are arguments",
    "pathlib": "files are read outside, their content is an argument",
    "random": "randomness is an argument",
    "secrets": "randomness is an argument; to compare, hmac.compare_digest is pure",
    "shutil": "core touches no file",
    "socket": "core touches no network",
    "ssl": "core touches no network",
    "subprocess": "core starts no process",
    "tempfile": "core touches no file",
    "threading": "core has no shared state to guard",
    "time": "the time is an argument",
}
IMPURE_NAMES = {
    "open": "files are read outside, their content is an argument",
    "input": "core talks to nobody",
    "uuid.uuid1": "identities are arguments",
    "uuid.uuid4": "identities are arguments",
    "uuid.uuid7": "identities are arguments",
}
# (module, what it imports) → why that is pure in this place.
ALLOWED: dict[tuple[str, str], str] = {}


def impurities(module: Module) -> Iterator[str]:
    for name in imports(module):
        top = name.partition(".")[0]
        if top in IMPURE and (module.name, top) not in ALLOWED:
            yield f"imports {top}: {IMPURE[top]}"
    own = {node.name for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef)}
    for line, name in references(module):
        if name in IMPURE_NAMES and name not in own:
            yield f"line {line} uses {name}: {IMPURE_NAMES[name]}"


def core() -> list[Module]:
    return [module for module in modules_in("src") if module.layer == "core"]


def test_core_reads_no_clock_no_randomness_and_no_file() -> None:
    """The same arguments give the same bill, today and when the bill is disputed."""
    assert violations(impurities, core()) == []


def test_an_impure_core_is_found() -> None:
    for text in (
        "import time",
        "from os import environ",
        "import asyncio.events",
        "def read():\n    return open('prices')",
        "from uuid import uuid4\nidentity = uuid4()",
    ):
        assert list(impurities(parse(text))), text


def test_pure_imports_are_left_alone() -> None:
    text = "import hmac\nfrom datetime import datetime\nfrom uuid import UUID\nzero = UUID(int=0)"
    assert list(impurities(parse(text))) == []


def test_every_exception_to_purity_is_still_needed() -> None:
    """An exception that outlives its reason would let the next impurity in unseen."""
    used = {(module.name, name.partition(".")[0]) for module in core() for name in imports(module)}
    assert set(ALLOWED) <= used


def test_aliases_do_not_hide_what_is_imported() -> None:
    assert bindings(parse("import random as luck"))["luck"] == "random"
    assert list(impurities(parse("import random as luck")))
