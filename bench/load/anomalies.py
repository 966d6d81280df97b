"""Anomalies found, and false alarms, over made-up tokens of many habits. No time is measured.

Each token lives for twenty weeks by a habit of its own. Quiet ones show the false alarms; of each
kind of anomaly others have one put in at a known time, which must be told of within two hours.
"""

import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from bench.load.options import Options
from tallygate.core.anomalies import Kind
from tests.fakes.token_habits import token
from tests.fakes.token_traffic import alarms, is_found, with_anomaly

WEEKS = 20
SEED = "anomalies"


def measure(options: Options, folder: Path) -> dict[str, Any]:
    quiet, injected = options.quiet_tokens, options.strange_tokens
    with ProcessPoolExecutor() as pool:
        alarmed = Counter(
            f"{kind}, {habit}"
            for told in pool.map(_alarms_of_quiet, range(quiet), chunksize=8)
            for kind, habit in told
        )
        kinds = {
            kind.value: _summary(list(pool.map(_outcome, [(kind, n) for n in range(injected)])))
            for kind in Kind
        }
    found = sum(row["found"] for row in kinds.values())
    token_weeks = quiet * WEEKS
    return {
        "seed": SEED,
        "weeks": WEEKS,
        "quiet_tokens": quiet,
        "token_weeks": token_weeks,
        "false_alarms": alarmed.total(),
        "false_alarms_per_100_token_weeks": round(alarmed.total() / token_weeks * 100, 2),
        "false_alarms_by_kind_and_habit": dict(alarmed.most_common()),
        "injected": injected * len(Kind),
        "found": found,
        "found_percent": round(found / (injected * len(Kind)) * 100, 1),
        "kinds": kinds,
    }


def _alarms_of_quiet(number: int) -> list[tuple[str, str]]:
    traffic = token(random.Random(f"{SEED} quiet {number}"), WEEKS)
    return [(alarm.kind.value, traffic.habit) for alarm in alarms(traffic)]


def _outcome(asked: tuple[Kind, int]) -> tuple[bool, str]:
    kind, number = asked
    traffic = with_anomaly(random.Random(f"{SEED} {kind.value} {number}"), WEEKS, kind)
    return is_found(traffic, alarms(traffic)), traffic.habit


def _summary(outcomes: list[tuple[bool, str]]) -> dict[str, Any]:
    found = sum(is_told for is_told, _ in outcomes)
    missed = Counter(habit for is_told, habit in outcomes if not is_told)
    return {
        "injected": len(outcomes),
        "found": found,
        "found_percent": round(found / len(outcomes) * 100, 1),
        "missed_by_habit": dict(missed.most_common()),
    }
