"""The keeper's part of /metrics. Its series are the store's, so every node shows the same."""

from collections.abc import Iterator, Mapping
from typing import Any

from tallygate.telemetry.lines import family


def keeper_lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Out of what the clerk read; nothing while there is nothing to keep."""
    if not figures.get("credentials"):
        return
    yield from family(
        "keeper_credentials",
        "gauge",
        "Upstream credentials by kind and state.",
        [
            ({"kind": kind, "state": state}, number)
            for kind, state, number in figures["credentials"]
        ],
    )
    alerts = figures["alerts"]
    yield from family(
        "keeper_alerts",
        "gauge",
        "The keeper's alerts of the last 90 days, by what they tell and whether they were sent.",
        [
            ({"alert": kind, "sent": "yes" if is_sent else "no"}, number)
            for kind, is_sent, number in alerts
        ],
    )
    if figures["silent_ms"] is not None:
        about = "Since a run over all credentials, or over those in use, showed a sign of life."
        silent_s = figures["silent_ms"] / 1000
        yield from family("keeper_seconds_since_last_run", "gauge", about, [({}, silent_s)])
    if figures["last_run"] is not None:
        yield from family(
            "keeper_last_run_credentials",
            "gauge",
            "Credentials of the last finished run by how they left it.",
            [({"end": end}, number) for end, number in figures["last_run"].items()],
        )
        about = "How long the last finished run took."
        took_s = figures["last_run_ms"] / 1000
        yield from family("keeper_last_run_duration_seconds", "gauge", about, [({}, took_s)])
