"""What the code does not use or say, each with its reason."""

import ast
import re
from collections.abc import Iterator

from tests.tidy.source import Module, comments, modules_in, parse, references, violations

TASKS = "tasks start in tallygate.tasks, which names and owns them: others are lost unseen"
CLOCK = "the time is an argument; tallygate.clock is where it comes from"

# Dotted name → (reason, the modules that may use it all the same).
BANNED_APIS: dict[str, tuple[str, set[str]]] = {
    "asyncio.create_task": (TASKS, {"tallygate.tasks"}),
    "asyncio.ensure_future": (TASKS, {"tallygate.tasks"}),
    "time.time": (CLOCK, {"tallygate.clock"}),
    "time.time_ns": (CLOCK, {"tallygate.clock"}),
    "datetime.datetime.now": (CLOCK, {"tallygate.clock"}),
    "datetime.datetime.today": (CLOCK, {"tallygate.clock"}),
    "datetime.datetime.utcnow": (CLOCK, {"tallygate.clock"}),
    "datetime.date.today": (CLOCK, {"tallygate.clock"}),
}
BANNED_WORDS = {"utils", "util", "helpers", "helper", "common", "manager", "managers"}
MONEY = {"tallygate.core.money", "tallygate.core.pricing"}
MUTATORS = {"append", "clear", "discard", "extend", "pop", "popitem", "popleft", "remove", "update"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
IGNORE = re.compile(r"#\s*type:\s*ignore")
IGNORE_WITH_REASON = re.compile(r"# type: ignore\[[\w, -]+\]  # \w+")


def banned_apis(module: Module) -> Iterator[str]:
    for line, name in references(module):
        reason, allowed = BANNED_APIS.get(name, ("", set()))
        if name.endswith(".create_task"):
            reason, allowed = BANNED_APIS["asyncio.create_task"]
        if name == "print" and module.layer != "cli":
            reason = "only the command line talks to a terminal; the rest logs"
        if reason and module.name not in allowed:
            yield f"line {line} uses {name}: {reason}"


def floats_in_money(module: Module) -> Iterator[str]:
    if not any(module.name == name or module.name.startswith(f"{name}.") for name in MONEY):
        return
    for node in ast.walk(module.tree):
        is_float = isinstance(node, ast.Constant) and isinstance(node.value, float)
        if is_float or (isinstance(node, ast.Name) and node.id == "float"):
            yield f"line {node.lineno}: money is integers, a float loses some"


def vague_names(module: Module) -> Iterator[str]:
    parts = module.name.split(".")[1:]
    classes = [node.name for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
    for name in [*parts, *classes]:
        if found := BANNED_WORDS & set(words(name)):
            yield f"`{name}` says nothing with `{found.pop()}`: name what it is about"


def words(name: str) -> list[str]:
    """`KeyManager` and `key_manager` alike: key, manager."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")


def swallowed_errors(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield f"line {node.lineno}: a bare `except` catches cancellation too"
            elif catches_everything(node.type) and all(map(does_nothing, node.body)):
                yield f"line {node.lineno} swallows every error, our own bugs included"
        elif isinstance(node, ast.Call) and callee(node) == "suppress":
            yield from (
                f"line {node.lineno} suppresses every error, our own bugs included"
                for error in node.args
                if catches_everything(error)
            )


def catches_everything(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple):
        return any(map(catches_everything, node.elts))
    return isinstance(node, ast.Name) and node.id in {"Exception", "BaseException"}


def does_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass | ast.Continue) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def callee(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def acting_asserts(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assert) and any(map(acts, ast.walk(node.test))):
            yield f"line {node.lineno}: `python -O` drops asserts, and what this one does with it"


def acts(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return callee(node) in MUTATORS
    return isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom)


def bad_comments(module: Module) -> Iterator[str]:
    for line, comment in comments(module):
        if UNFINISHED.search(comment):
            yield f"line {line}: what is not finished does not merge"
        if IGNORE.match(comment) and not IGNORE_WITH_REASON.match(comment):
            yield f"line {line}: write `# type: ignore[code]  # and the reason`"


SRC_RULES = (
    banned_apis,
    floats_in_money,
    vague_names,
    swallowed_errors,
    acting_asserts,
    bad_comments,
)


def test_tasks_clocks_and_terminals_are_used_in_one_place() -> None:
    """A task nobody owns is lost with its error; a clock nobody passed in cannot be tested."""
    assert violations(banned_apis, modules_in("src")) == []


def test_money_never_meets_a_float() -> None:
    """0.1 + 0.2 is not 0.3, and a bill is not an approximation."""
    assert violations(floats_in_money, modules_in("src")) == []


def test_names_say_what_a_thing_is() -> None:
    """`utils` is where subjects go that nobody named; there they are written twice."""
    assert violations(vague_names, modules_in("src")) == []


def test_errors_are_never_swallowed_whole() -> None:
    """An error that disappears is found by a customer."""
    assert violations(swallowed_errors, modules_in("src")) == []


def test_asserts_only_look_and_never_act() -> None:
    assert violations(acting_asserts, modules_in("src")) == []


def test_comments_leave_nothing_unfinished_or_unexplained() -> None:
    everything = [one for top in ("src", "tests", "bench", "scripts") for one in modules_in(top)]
    assert violations(bad_comments, everything) == []


def broken_rules(text: str, name: str = "tallygate.clerk.sample") -> list[str]:
    return [rule.__name__ for rule in SRC_RULES for _ in rule(parse(text, name))]


def test_every_banned_use_is_found() -> None:
    """A rule that finds nothing looks just like code that keeps to it."""
    for text, rule in (
        ("import asyncio\nasyncio.create_task(work())", "banned_apis"),
        ("import asyncio as aio\naio.ensure_future(work())", "banned_apis"),
        ("loop.create_task(work())", "banned_apis"),
        ("asyncio.get_running_loop().create_task(work())", "banned_apis"),
        ("from time import time as now\nnow()", "banned_apis"),
        ("import datetime\ndatetime.datetime.now()", "banned_apis"),
        ("from datetime import datetime\nclock = datetime.now", "banned_apis"),
        ("print('served')", "banned_apis"),
        ("class KeyManager:\n    pass", "vague_names"),
        ("try:\n    work()\nexcept:\n    raise", "swallowed_errors"),
        ("try:\n    work()\nexcept Exception:\n    pass", "swallowed_errors"),
        (
            "for one in all_of_them:\n    with suppress(Exception):\n        one()",
            "swallowed_errors",
        ),
        ("assert queue.pop()", "acting_asserts"),
        ("assert (found := look())", "acting_asserts"),
        ("work()  # " + "TODO: later", "bad_comments"),
        ("work()  # " + "type: ignore", "bad_comments"),
        ("work()  # " + "type: ignore[no-any-return]", "bad_comments"),
    ):
        assert broken_rules(text) == [rule], text


def test_a_vague_module_name_is_found() -> None:
    assert broken_rules("", "tallygate.clerk.money_utils") == ["vague_names"]


def test_a_float_is_found_where_money_is() -> None:
    for text in ("float('1')", "rate = 0.5", "def pay(points: float): ..."):
        assert broken_rules(text, "tallygate.core.money") == ["floats_in_money"], text


def test_what_is_allowed_is_left_alone() -> None:
    for text, name in (
        ("print('hello')", "tallygate.cli"),
        ("print('hello')", "tallygate.cli.tokens"),
        ("import asyncio\nasyncio.create_task(work())", "tallygate.tasks"),
        ("import time\ntime.time()", "tallygate.clock"),
        ("import time\ntime.monotonic()", "tallygate.wire.pool"),
        ("try:\n    work()\nexcept OSError:\n    pass", "tallygate.wire.pool"),
        ("try:\n    work()\nexcept Exception:\n    count()\n    raise", "tallygate.wire.pool"),
        ("assert queue and len(queue) > 1", "tallygate.wire.pool"),
        ("work()  # " + "type: ignore[arg-type]  # the stub lacks it", "tallygate.wire.pool"),
        ("ratio = 0.5", "tallygate.clerk.feed"),
    ):
        assert broken_rules(text, name) == [], text
