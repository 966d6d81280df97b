"""Runs the micro-benchmarks: every module of bench/micro that is not this one.

A module has `cases()`, a context manager that yields functions without arguments by name, each of
them one operation; or, when it times things its own way, `main()`. No sockets, and no second
process: a figure moves only when the code under it does.
"""

import importlib
import pkgutil
import timeit
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

Cases = Mapping[str, Callable[[], object]]
Maker = Callable[[], AbstractContextManager[Cases]]

REPEATS = 15
RUN_S = 0.02  # one of the repeats; the best of them is the figure
FOLDER = Path(__file__).parent


def run(only: str = "") -> int:
    """Time every case whose name contains `only`."""
    names = sorted(one.name for one in pkgutil.iter_modules([str(FOLDER)]))
    names.remove("runner")
    for name in names:
        module = importlib.import_module(f"bench.micro.{name}")
        if hasattr(module, "cases"):
            time_cases(name, module.cases, only)
        elif only in name:
            print(f"--- {name}")
            module.main()
    return 0


def time_cases(module: str, cases: Maker, only: str) -> None:
    with cases() as operations:
        for name, operation in operations.items():
            if only in f"{module}: {name}":
                print(f"{nanoseconds(operation):>10,.0f} ns  {module}: {name}", flush=True)


def nanoseconds(operation: Callable[[], object]) -> float:
    """The best of many short runs, so that a neighbour on the machine does not show."""
    timer = timeit.Timer(operation)
    count = 1
    while (taken_s := timer.timeit(count)) < RUN_S / 4:
        count *= 4
    count = max(1, int(count * RUN_S / taken_s))
    return min(timer.repeat(REPEATS, count)) / count * 1e9
