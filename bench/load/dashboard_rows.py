"""The usage that other products' dashboards are opened over: written straight into their SQLite.

Days, models and the spread of the numbers are those of the row `usage`. Importing as many requests
through their own doors would take hours; what a dashboard reads is the same either way.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.load.usage import DAY_MS, DAYS, KEYS, MODELS

BUSY_S_MAX = 60.0
_NOISE = "((n * 7919 + n / 1000 * 104729) % 1000003)"
_INPUT, _OUTPUT = "(noise % 4000)", "(noise % 1000)"
_IS_ERROR = "noise % 50 = 0"
_LASTS_MS = "(5 + noise % 997)"
# One request each: a trace of one span, whose cost is that of its tokens.
_PHOENIX = {
    "traces": {
        "id": "n",
        "project_rowid": "1",
        "trace_id": "printf('%032x', n)",
        "start_time": "begins",
        "end_time": "ends",
    },
    "spans": {
        "id": "n",
        "trace_rowid": "n",
        "span_id": "printf('%016x', n)",
        "name": "'chat'",
        "span_kind": "'LLM'",
        "start_time": "begins",
        "end_time": "ends",
        "attributes": f"json_object('llm', json_object('model_name', 'model-' || (n % {MODELS}), "
        f"'token_count', json_object('prompt', {_INPUT}, 'completion', {_OUTPUT})), "
        f"'user', json_object('id', 'key-' || (noise % {KEYS})))",
        "events": "'[]'",
        "status_code": f"CASE WHEN {_IS_ERROR} THEN 'ERROR' ELSE 'OK' END",
        "status_message": "''",
        "cumulative_error_count": _IS_ERROR,
        "cumulative_llm_token_count_prompt": _INPUT,
        "cumulative_llm_token_count_completion": _OUTPUT,
        "llm_token_count_prompt": _INPUT,
        "llm_token_count_completion": _OUTPUT,
    },
    "span_costs": {
        "id": "n",
        "span_rowid": "n",
        "trace_rowid": "n",
        "model_id": "(SELECT max(id) FROM generative_models WHERE name = 'bench-0') "
        f"+ n % {MODELS}",
        "span_start_time": "begins",
        "total_cost": f"({_INPUT} + {_OUTPUT}) * 1e-6",
        "total_tokens": f"{_INPUT} + {_OUTPUT}",
        "prompt_cost": f"{_INPUT} * 1e-6",
        "prompt_tokens": _INPUT,
        "completion_cost": f"{_OUTPUT} * 1e-6",
        "completion_tokens": _OUTPUT,
    },
}
_PHOENIX_DETAILS = (
    "INSERT INTO span_cost_details (span_cost_id, token_type, is_prompt, cost, tokens, "
    "cost_per_token) SELECT id, {name}, {is_prompt}, {of}_cost, {of}_tokens, 1e-6 FROM span_costs"
)
_MLFLOW_TRACE = "'tr-' || printf('%032x', n)"
_MLFLOW = {
    "trace_info": {
        "request_id": _MLFLOW_TRACE,
        "experiment_id": ":experiment",
        "timestamp_ms": "at_ms",
        "execution_time_ms": _LASTS_MS,
        "status": f"CASE WHEN {_IS_ERROR} THEN 'ERROR' ELSE 'OK' END",
        "trace_name": "'chat'",
        "input_tokens": _INPUT,
        "output_tokens": _OUTPUT,
        "total_tokens": f"{_INPUT} + {_OUTPUT}",
        "input_cost": f"{_INPUT} * 1e-6",
        "output_cost": f"{_OUTPUT} * 1e-6",
        "total_cost": f"({_INPUT} + {_OUTPUT}) * 1e-6",
    },
    "spans": {
        "trace_id": _MLFLOW_TRACE,
        "experiment_id": ":experiment",
        "span_id": "printf('%016x', n)",
        "name": "'chat'",
        "type": "'CHAT_MODEL'",
        "status": "'OK'",
        "start_time_unix_nano": "at_ms * 1000000",
        "end_time_unix_nano": f"(at_ms + {_LASTS_MS}) * 1000000",
        "content": "'{}'",
        "input_cost": f"{_INPUT} * 1e-6",
        "output_cost": f"{_OUTPUT} * 1e-6",
        "total_cost": f"({_INPUT} + {_OUTPUT}) * 1e-6",
        "model_name": f"'model-' || (n % {MODELS})",
        "model_provider": "'bench'",
    },
}
_MLFLOW_METADATA = {
    "mlflow.gateway.endpointId": ":endpoint",
    "mlflow.gateway.requestType": "'llm/v1/chat'",
    "mlflow.trace.user": f"'key-' || (noise % {KEYS})",
}
_MLFLOW_METRICS = {
    "input_tokens": _INPUT,
    "output_tokens": _OUTPUT,
    "total_tokens": f"{_INPUT} + {_OUTPUT}",
}


def fill_phoenix(path: Path, rows: int) -> None:
    """Into its first project, which is there from the beginning."""
    with _writing(path) as database:
        model = "INSERT INTO generative_models (name, provider, name_pattern, is_built_in)"
        for number in range(MODELS):
            values = f"VALUES ('bench-{number}', 'bench', 'bench-{number}', 0)"
            database.execute(f"{model} {values}")
        for table, columns in _PHOENIX.items():
            database.execute(_insert(table, columns, rows))
        for name, is_prompt, of in (("'input'", 1, "prompt"), ("'output'", 0, "completion")):
            statement = _PHOENIX_DETAILS.format(name=name, is_prompt=is_prompt, of=of)
            database.execute(statement)


def fill_mlflow(path: Path, rows: int, *, experiment: int, endpoint: str) -> None:
    """As requests of that endpoint of its gateway, which keeps them in that experiment."""
    known = {"experiment": experiment, "endpoint": endpoint}
    with _writing(path) as database:
        for table, columns in _MLFLOW.items():
            database.execute(_insert(table, columns, rows), known)
        pairs = (("trace_request_metadata", _MLFLOW_METADATA), ("trace_metrics", _MLFLOW_METRICS))
        for table, values in pairs:
            for key, value in values.items():
                columns = {"request_id": _MLFLOW_TRACE, "key": f"'{key}'", "value": value}
                database.execute(_insert(table, columns, rows), known)


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction beside the product's own processes, all of it in the file at the end."""
    database = sqlite3.connect(path, BUSY_S_MAX, isolation_level=None)
    try:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN IMMEDIATE")
        yield database
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        database.close()  # what is not committed is undone


def _insert(table: str, columns: dict[str, str], rows: int) -> str:
    """So many rows, evenly over the days until now, with numbers that look random."""
    start_ms = int(time.time() * 1000) - DAYS * DAY_MS
    at_ms = f"{start_ms} + n * {DAYS * DAY_MS} / {rows}"
    written = "strftime('%Y-%m-%d %H:%M:%f000', {ms} / 1000.0, 'unixepoch')"
    return (
        f"WITH RECURSIVE numbers(n) AS "
        f"(SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows}), "
        f"moments AS (SELECT n, {_NOISE} AS noise, {at_ms} AS at_ms FROM numbers), "
        f"requests AS (SELECT *, {written.format(ms='at_ms')} AS begins, "
        f"{written.format(ms=f'(at_ms + {_LASTS_MS})')} AS ends FROM moments) "
        f"INSERT INTO {table} ({', '.join(columns)}) "
        f"SELECT {', '.join(columns.values())} FROM requests"
    )
