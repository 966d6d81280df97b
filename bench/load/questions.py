"""Estimates and balance checks at 500 a second, over a ledger of very many entries.

They are what a page asks before each message, so they must be quick however long the history is.
Open loop, as in latency.py; what they cost the gateway and control is beside their times.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from bench.load import gate, ledger
from bench.load.latency import call_at_rate
from bench.load.options import Options
from bench.load.processes import CpuReading, wait_until_quiet

Row = dict[str, Any]
PER_SECOND = 500
WARM_UP = 500
_HEAD = (
    "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Admin-Token: {token}\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
)


def measure(options: Options, folder: Path) -> Row:
    data = folder / "gate" / "data"
    data.mkdir(parents=True)
    ledger.fill(data / "tallygate.db", options.charges)
    asked = {"estimate": _estimates(), "check_balance": _checks()}
    row: Row = {"charges": options.charges}
    with gate.running(folder / "gate", options.workers, "http://127.0.0.1:9/v1") as running:
        for name, requests in asked.items():
            row[name] = _asked(running, requests, options.questions)
    return row


def _asked(running: gate.Gate, requests: Sequence[bytes], count: int) -> Row:
    groups = running.groups()
    uvloop.run(call_at_rate(running.port, requests, WARM_UP, PER_SECOND))
    wait_until_quiet([pid for pids in groups.values() for pid in pids])
    before = CpuReading.take(groups)
    times = uvloop.run(call_at_rate(running.port, requests, count, PER_SECOND))
    used_us = {name: s / count * 1e6 for name, s in before.since().items()}
    return {
        "requests": count,
        "p50_ms": round(times.percentile_ms(50), 3),
        "p99_ms": round(times.percentile_ms(99), 3),
        "waited": times.waited,
        **{f"{name}_us": round(us, 1) for name, us in used_us.items()},
    }


def _estimates() -> list[bytes]:
    path = "/api/user/points/estimate?model=bench&input_tokens=1200&output_tokens=300&user_id="
    return [_request("GET", f"{path}user-{at}", "") for at in range(ledger.WALLETS)]


def _checks() -> list[bytes]:
    path, body = "/api/user/points/check-balance", '{{"model":"bench","inputTokens":1200,'
    body += '"outputTokens":300,"user_id":"user-{at}"}}'
    return [_request("POST", path, body.format(at=at)) for at in range(ledger.WALLETS)]


def _request(method: str, path: str, body: str) -> bytes:
    token = gate.ADMIN_TOKEN
    told = {"method": method, "path": path, "token": token, "length": len(body), "body": body}
    return _HEAD.format(**told).encode()
