"""How much is measured: every count and every time has its bound."""

import math
import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    workers: int = os.cpu_count() or 1  # of Tallygate and of nginx alike
    requests: int = 60_000  # of ordinary answers, over all rounds
    rounds: int = 3  # in which nginx and Tallygate take turns
    seconds_max: int = 120  # per measurement, whatever the count
    events: int = 30_000  # delivered to the webhook, of each store
    floor_rows: int = 20_000
    uses: int = 500_000  # reported in batches, of each store; a tenth of them singly
    transfers: int = 12  # of 100 MB each way, over all rounds
    stream_rounds: int = 6  # × 32 streams × 200 chunks
    latency_requests: int = 10_000  # per target, over all rounds
    latency_rounds: int = 5
    streams_open: int = 2_000
    charges: int = 1_000_000  # in the ledger that is verified, or asked about
    questions: int = 5_000  # of each kind
    keys: int = 100_000  # in the store, beside so many routes
    routes: int = 1_000
    usage_rows: int = 10_000_000  # of each store, summed up and asked about
    growth_requests: int = 200_000  # `--full`: a million

    credentials: int = 10_000
    credential_hosts: int = 100

    quiet_tokens: int = 300  # in which anomalies are looked for in vain
    strange_tokens: int = 100  # of each kind of anomaly

    def seconds_for(self, requests: int, per_second: float) -> int:
        return max(1, min(self.seconds_max, math.ceil(requests / per_second)))
