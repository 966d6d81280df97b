"""What charging adds: the same calls with a key of limits alone, and with one of a wallet.

Both keys are of one running Tallygate and take turns, so all but the wallet is the same.
"""

from pathlib import Path
from typing import Any

from bench.load import gate, nginx
from bench.load.options import Options
from bench.load.plain import Row, Target
from bench.load.processes import BenchFailed
from bench.load.traffic import MODEL

USER = "bench"
POINTS = 10**9
PRICE = {"input_token_price": "0.15", "output_token_price": "0.6", "per_tokens": 1_000_000}


def measure(options: Options, folder: Path) -> Row:
    """As `plain`; the price is in US dollars, as most are."""
    with (
        nginx.upstream(folder / "upstream", options.workers, None) as (_, port),
        gate.running(folder / "gate", options.workers, f"http://127.0.0.1:{port}/v1") as running,
    ):
        key = paid_key(running)
        limits = Target(folder, running.port, running.key, running.groups())
        wallet = Target(folder, running.port, key, running.groups())
        for _ in range(options.rounds):
            for target in (limits, wallet):
                target.drive(options)
        booked: int = running.admin("GET", "/admin/usage")["total_requests"]
        spent = POINTS * 1_000_000 - balance_micros(running)
        if booked < limits.answered + wallet.answered or spent <= wallet.answered:
            raise BenchFailed(f"{booked} requests are on the books, and {spent} micro-points spent")
    rows = {"limits": limits.row(), "wallet": wallet.row()}
    added: dict[str, Any] = {
        name: round(rows["wallet"][name] - rows["limits"][name], 2)
        for name in ("gateway_us", "clerk_us")
    }
    share = round(100 * added["gateway_us"] / rows["limits"]["gateway_us"], 1)
    return {**rows, "added": added, "added_percent_of_gateway": share}


def paid_key(running: gate.Gate) -> str:
    """A key like the other one, of a user with a great deal of money."""
    running.admin("POST", "/api/models", {"model_name": MODEL, "currency": "usd", **PRICE})
    running.admin("POST", "/api/users", {"id": USER})
    running.admin("POST", f"/api/users/{USER}/wallet/top-up", {"points": POINTS})
    asked = {"label": "paid", "daily_limit": gate.LARGE, "limits": gate.LIMITS, "user_id": USER}
    secret: str = running.admin("POST", "/api/keys", asked)["secret"]
    return secret


def balance_micros(running: gate.Gate) -> int:
    found: int = running.admin("GET", f"/api/users/{USER}/wallet")["balance_micros"]
    return found
