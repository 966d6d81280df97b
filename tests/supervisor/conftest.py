"""A node of tiny roles that leaves nothing behind."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supervisor.node import TinyNode


@pytest.fixture
def node(tmp_path: Path) -> Iterator[TinyNode]:
    tiny = TinyNode(tmp_path / "data")
    yield tiny
    if not hasattr(tiny, "process"):
        return
    left = tiny.pids()
    if tiny.process.poll() is None:
        tiny.process.kill()
        tiny.process.wait()
    tiny.process.stdout.close()
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            if b"tiny_role" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
