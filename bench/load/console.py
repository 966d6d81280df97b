"""How soon the overview can be used, with very many rows of usage behind it, in a real Chromium.

The store is filled as the row `usage` fills it and summed up to its last row; then a node serves
it, and a browser opens the console's first page: one that has never been here, and the same one
again. The times are the browser's own (performance API), from asking for the address. The same
browser then opens the dashboards of other products in the same way.
"""

import asyncio
import json
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.load import dashboards, gate, usage, usage_sums
from bench.load.dashboards import Served
from bench.load.options import Options
from bench.load.processes import BenchFailed, wait_until_quiet
from scripts import web
from tallygate.store.anomaly_schema import anomaly_mark
from tallygate.store.database import Database
from tallygate.store.migrations import migrate

TIMES = 7
SCRIPT = web.ROOT / "console" / "e2e" / "paint.ts"
NO_PROVIDER = "http://127.0.0.1:9"  # nothing is asked of it: the page only must not be the demo's


def measure(options: Options, folder: Path) -> dict[str, Any]:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise BenchFailed("there is no `chromium` on the PATH")
    web.build_console()
    data = folder / "data"
    data.mkdir()
    asyncio.run(_fill(f"sqlite:///{data}/tallygate.db", options.usage_rows))
    with gate.running(folder, 1, NO_PROVIDER) as node:
        wait_until_quiet([pid for pids in node.groups().values() for pid in pids])
        url = f"http://127.0.0.1:{node.port}"
        ours = _paint(Served("tallygate", url, options.usage_rows, gate.ADMIN_TOKEN), chromium)
        size = len(gate.answered(node.port, "GET", "/api/usage/overview"))
    row = {"rows": options.usage_rows, "times": TIMES, "overview_bytes": size, **ours}
    row["peers"], row["left_out"] = dashboards.measure(
        folder, options.usage_rows, lambda served: _paint(served, chromium)
    )
    return row


async def _fill(address: str, rows: int) -> None:
    database = Database(address, deadline_s=usage.FILL_DEADLINE_S)
    await database.open()
    try:
        await migrate(database)
        await usage.fill(database, rows)
        await usage_sums.make(database, rows)
        async with database.writing() as tx:  # as a node that has served all of it would have it
            await tx.execute(sa.update(anomaly_mark).values(usage_id=rows))
    finally:
        await database.close()


def _paint(served: Served, chromium: str) -> dict[str, dict[str, float]]:
    """Of the first visit and of the next one: the middle of each figure."""
    variables = {"DASHBOARD_TOKEN": served.token, "TALLYGATE_CHROMIUM": chromium}
    ran = subprocess.run(
        ["node", str(SCRIPT), served.name, served.url, str(TIMES)],
        env={**web.environment(), **variables},
        capture_output=True,
        text=True,
        timeout=600,
    )
    if ran.returncode:
        raise BenchFailed(f"the browser did not open {served.name}: {ran.stderr[-2000:]}")
    times: dict[str, list[dict[str, float]]] = json.loads(ran.stdout)
    return {name: _middle(found) for name, found in times.items()}


def _middle(found: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure the middle one; of what people wait for the slowest, too."""
    middle = {name: statistics.median(one[name] for one in found) for name in found[0]}
    return {**middle, "slowest_usable_ms": max(one["usable_ms"] for one in found)}
