"""Nanoseconds for what telemetry does in each request: `python bench/micro/telemetry.py`.

The best of many short runs, so that a neighbour on the machine does not show in the figures. The
bar is 2,000 ns for all of it.
"""

import timeit
from collections.abc import Callable

from tallygate.core.entry import Outcome
from tallygate.core.errors import Code
from tallygate.telemetry.counters import Counters

RUNS, REPEATS = 10_000, 50
PROVIDERS = ("deepseek", "openai", "anthropic")
COUNTS = {"input_tokens": 190, "output_tokens": 412, "cache_read_tokens": 64}


def nanoseconds(work: Callable[[], object]) -> float:
    return min(timeit.repeat(work, number=RUNS, repeat=REPEATS)) / RUNS * 1e9


def main() -> None:
    counters = Counters()
    for provider in PROVIDERS:
        counters.ended(Outcome.OK, 200, 5, COUNTS, provider)
    cases: dict[str, Callable[[], object]] = {
        "an answer, with tokens": lambda: counters.ended(Outcome.OK, 200, 812, COUNTS, "openai"),
        "an answer, without": lambda: counters.ended(Outcome.OK, 200, 812, {}, "openai"),
        "an upstream's error": lambda: counters.ended(
            Outcome.UPSTREAM_ERROR, 502, 30_001, {}, "openai"
        ),
        "a refusal": lambda: counters.refused(Code.RATE_LIMIT_EXCEEDED),
        "encode, once a second": counters.encode,
    }
    for name, work in cases.items():
        print(f"{name:24} {nanoseconds(work):8.0f} ns")


if __name__ == "__main__":
    main()
