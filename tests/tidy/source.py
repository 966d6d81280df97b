"""The repository's own source, parsed: what the house rules are checked against.

Rules are functions from a `Module` to the violations found in it, so that each is tested on a
snippet that breaks it (`parse`) and then applied to the tree (`modules_in`).
"""

import ast
import io
import subprocess
import tokenize
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Module:
    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """What a relative import starts from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @property
    def layer(self) -> str:
        """`core` for tallygate.core.money, and nothing for tallygate itself."""
        return layer_of(self.name)


def layer_of(name: str) -> str:
    return name.partition(".")[2].partition(".")[0]


def parse(text: str, name: str = "tallygate.core.sample") -> Module:
    path = Path("src", *name.split(".")).with_suffix(".py")
    return Module(name, path, text, ast.parse(text))


@cache
def modules_in(folder: str) -> tuple[Module, ...]:
    """Every module under src, scripts, bench or tests; src is where names start from."""
    top = ROOT / folder
    start = top if folder == "src" else ROOT
    return tuple(read(path, start) for path in sorted(top.rglob("*.py")))


def read(path: Path, start: Path) -> Module:
    parts = path.relative_to(start).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    text = path.read_text("utf-8")
    return Module(name, path.relative_to(ROOT), text, ast.parse(text))


@cache
def files_of_the_tree() -> tuple[Path, ...]:
    """What git tracks or would track, so that build output and .venv are not looked at."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = (ROOT / name for name in sorted(set(listed.split("\0"))) if name)
    return tuple(path for path in paths if path.is_file())


def violations(rule: Callable[[Module], Iterable[str]], modules: Iterable[Module]) -> list[str]:
    return [f"{module.path}: {found}" for module in modules for found in rule(module)]


def imports(module: Module, *, at_run_time: bool = False) -> Iterator[str]:
    """Absolute names of what is imported, names taken out of a module included.

    `at_run_time` leaves out what stands under `if TYPE_CHECKING:`.
    """
    for node in walk(module.tree, skip_type_checking=at_run_time):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = imported_from(module, node)
            yield from (f"{source}.{alias.name}" for alias in node.names)


def imported_from(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def walk(tree: ast.AST, *, skip_type_checking: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if skip_type_checking and isinstance(node, ast.If) and is_type_checking(node.test):
            for otherwise in node.orelse:
                yield otherwise
                yield from walk(otherwise, skip_type_checking=True)
            continue
        yield node
        yield from walk(node, skip_type_checking=skip_type_checking)


def is_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in {getattr(test, "id", ""), getattr(test, "attr", "")}


def references(module: Module) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that is used, imports' aliases resolved."""
    bound = bindings(module)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            head, *rest = dotted(node)
            yield node.lineno, ".".join([bound.get(head, head), *rest])


def bindings(module: Module) -> dict[str, str]:
    bound: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            bound |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            source = imported_from(module, node)
            bound |= {alias.asname or alias.name: f"{source}.{alias.name}" for alias in node.names}
    return bound


def dotted(node: ast.expr) -> list[str]:
    """`a.b.c` as its parts; what is not a plain name (a call, an index) is `?`."""
    if isinstance(node, ast.Attribute):
        return [*dotted(node.value), node.attr]
    return [node.id] if isinstance(node, ast.Name) else ["?"]


def comments(module: Module) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
