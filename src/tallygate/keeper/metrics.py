"""What a run came to, as Prometheus text for a node exporter's textfile collector."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tallygate.keeper.run import End, Tally


def render(
    tally: Tally, cleaned: int, counts: Mapping[str, int], started_ms: int, ended_ms: int
) -> str:
    lines = [
        *_head("tallygate_keeper_last_run_timestamp_seconds", "When the last run ended."),
        f"tallygate_keeper_last_run_timestamp_seconds {ended_ms / 1000:.3f}",
        *_head("tallygate_keeper_last_run_duration_seconds", "How long the last run took."),
        f"tallygate_keeper_last_run_duration_seconds {(ended_ms - started_ms) / 1000:.3f}",
        *_head("tallygate_keeper_last_run_credentials", "Credentials of the last run by end."),
    ]
    for end in End:
        lines.append(
            f'tallygate_keeper_last_run_credentials{{end="{end.value}"}} {tally.ends[end]}'
        )
    lines.append(f'tallygate_keeper_last_run_credentials{{end="cleaned"}} {cleaned}')
    lines += _head("tallygate_keeper_credentials", "Credentials by state.")
    for state, number in counts.items():
        lines.append(f'tallygate_keeper_credentials{{state="{state}"}} {number}')
    return "\n".join(lines) + "\n"


def _head(name: str, about: str) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} gauge"]


def write(path: Path, text: str) -> None:
    """Whole or not at all: a collector may read at any moment."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(draft).chmod(0o644)  # it holds counts only, and collectors are other users
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
