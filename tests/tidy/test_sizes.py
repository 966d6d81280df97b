"""A function fits on a screen, a module is one subject; what is larger is listed and shrinks."""

import ast
import tomllib
from collections.abc import Iterable, Iterator, Mapping

from tests.tidy.source import ROOT, Module, modules_in, parse

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 300

Sizes = dict[str, int]


def function_sizes(modules: Iterable[Module]) -> Sizes:
    return {
        f"{module.name}:{name}": size
        for module in modules
        for name, size in functions(module.tree, "")
    }


def functions(tree: ast.AST, within: str) -> Iterator[tuple[str, int]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield within + node.name, (node.end_lineno or node.lineno) - node.lineno + 1
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from functions(node, f"{within}{node.name}." if named else within)


def module_sizes(modules: Iterable[Module]) -> Sizes:
    return {module.name: len(module.text.splitlines()) for module in modules}


def oversized(sizes: Mapping[str, int], limit: int, recorded: Mapping[str, int]) -> list[str]:
    """What is too large, and what the table of exceptions says wrongly."""
    wrong = [
        f"{name} has {size} lines, the limit is {limit}: divide it"
        for name, size in sizes.items()
        if size > limit and name not in recorded
    ]
    for name, was in recorded.items():
        size = sizes.get(name, 0)
        if size <= limit:
            wrong.append(f"{name} needs no exception any more: take it out")
        elif size > was:
            wrong.append(f"{name} has grown from {was} to {size} lines: an exception only shrinks")
        elif size < was:
            wrong.append(f"{name} has shrunk from {was} to {size} lines: record the new size")
    return wrong


def measured() -> list[Module]:
    return [*modules_in("src"), *modules_in("scripts"), *modules_in("bench")]


def recorded_exceptions() -> dict[str, Sizes]:
    return tomllib.loads((ROOT / "tests" / "tidy_exceptions.toml").read_text("utf-8"))


def test_functions_fit_on_a_screen() -> None:
    """What cannot be seen at once is read in pieces and changed on a guess."""
    recorded = recorded_exceptions()["functions"]
    assert oversized(function_sizes(measured()), FUNCTION_LINES_MAX, recorded) == []


def test_modules_keep_to_one_subject() -> None:
    """A module that grows beyond its limit has found a second subject."""
    recorded = recorded_exceptions()["modules"]
    assert oversized(module_sizes(measured()), MODULE_LINES_MAX, recorded) == []


def test_methods_and_inner_functions_are_measured_too() -> None:
    text = "class Wallet:\n    async def hold(self):\n        def inner():\n            pass\n"
    assert function_sizes([parse(text)]) == {
        "tallygate.core.sample:Wallet.hold": 3,
        "tallygate.core.sample:Wallet.hold.inner": 2,
    }


def test_an_exception_may_only_shrink() -> None:
    """Otherwise the table would be where large functions go to grow."""
    assert oversized({"a": 70}, 60, {"a": 70}) == []
    for size, recorded in ((70, {}), (71, {"a": 70}), (69, {"a": 70}), (60, {"a": 70})):
        assert len(oversized({"a": size}, 60, recorded)) == 1, (size, recorded)
    assert len(oversized({}, 60, {"gone": 70})) == 1
