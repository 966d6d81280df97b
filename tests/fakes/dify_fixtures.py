"""Golden files of the fake Dify server: `python -m tests.fakes.dify_fixtures` writes them anew.

They are what the meter is tested with; a test compares them with what the fake says now.
"""

import json
from pathlib import Path

from tests.fakes import dify_answers as says
from tests.fakes.dify import TABLE
from tests.fakes.dify_answers import Ids

FOLDER = Path(__file__).parents[1] / "fixtures" / "dify"


def golden() -> dict[str, bytes]:
    """Every file by its name."""
    ids = Ids(1)
    streams = {"chat": says.chat, "completion": says.completion, "workflow": says.workflow, **TABLE}
    files = {f"{name}.sse": b"".join(events(ids)) for name, events in streams.items()}
    for path in ("chat-messages", "completion-messages", "workflows/run"):
        body = says.blocking(ids, path, says.usage())
        files[f"{path.partition('/')[0]}.json"] = json.dumps(body).encode() + b"\n"
    return files


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in golden().items():
        (FOLDER / name).write_bytes(content)
