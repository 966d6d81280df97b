"""What holds for every file: it names no registry and no single machine, and says its subject."""

import ast
import re
from collections.abc import Iterator

from tests.tidy.source import Module, files_of_the_tree, modules_in, parse, violations

# Put together here, so that this file keeps its own rule.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("registry", "npmmirror", "com"),
        ("deb", "debian", "org"),
    )
]
REGISTRY = re.compile("|".join(map(re.escape, REGISTRY_HOSTS)).encode())
MACHINE_PATH = re.compile(rb"(?:^|[^a-zA-Z0-9_.~-])/(?:work|farm|tmp/wt)/", re.MULTILINE)
WORDS_MIN = 3


def lines_with(pattern: re.Pattern[bytes], content: bytes) -> list[int]:
    return [content.count(b"\n", 0, match.end()) + 1 for match in pattern.finditer(content)]


def places(pattern: re.Pattern[bytes]) -> list[str]:
    return [
        f"{path}:{line}"
        for path in files_of_the_tree()
        for line in lines_with(pattern, path.read_bytes())
    ]


def missing_subject(module: Module) -> Iterator[str]:
    if not ast.get_docstring(module.tree):
        yield "says nothing about its subject: open with a docstring"


def curt_test_names(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = node.name.removeprefix("test_")
            if name != node.name and len(name.split("_")) < WORDS_MIN:
                yield f"{node.name} states no guarantee: make it a sentence"


def test_no_file_names_a_package_registry() -> None:
    """Everyone installs through the mirror they trust; a committed host would pass it by."""
    assert places(REGISTRY) == []


def test_no_file_carries_a_path_of_one_machine() -> None:
    assert places(MACHINE_PATH) == []


def test_every_module_says_its_subject_first() -> None:
    """Whoever opens a file learns in one line whether it is the right one."""
    assert violations(missing_subject, modules_in("src")) == []


def test_every_test_states_a_guarantee() -> None:
    """A failing test should say what is broken before anyone opens its file."""
    assert violations(curt_test_names, modules_in("tests")) == []


def test_a_registry_and_a_machine_path_are_found() -> None:
    for host in REGISTRY_HOSTS:
        assert lines_with(REGISTRY, f"first\nhttps://{host}/simple".encode()) == [2]
    for folder in ("work", "farm"):
        assert lines_with(MACHINE_PATH, f"/{folder}/main\nsee /{folder}/main".encode()) == [1, 2]
    assert lines_with(MACHINE_PATH, b"docs/work/plan, ~/work/x") == []


def test_a_silent_module_and_a_curt_test_are_found() -> None:
    assert list(missing_subject(parse("limit = 1")))
    assert list(curt_test_names(parse("class TestMoney:\n    def test_add(self): ...")))
    assert list(curt_test_names(parse("async def test_adding_keeps_micros(): ..."))) == []
