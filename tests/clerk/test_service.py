"""The clerk as a process: ready when it serves, gone when it is told or orphaned."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tallygate.core.commands import CreateKey
from tallygate.wire.caller import Caller
from tests.clerk.conftest import prepare
from tests.clerk.samples import ACTOR

pytestmark = pytest.mark.anyio

PROCESS = """
import os, socket, sys
from pathlib import Path
from tallygate.clerk.service import run
from tests.clerk.samples import make_options

class Handshake:
    go_fd = int(sys.argv[3])
    def ready(self):
        os.write(1, b"R")

listener = socket.socket(fileno=int(sys.argv[2]))
run(make_options(Path(sys.argv[1]), sys.argv[4]), listener, Handshake())
"""


@pytest.mark.parametrize("why", ["told", "orphaned"])
async def test_a_clerk_serves_until_it_is_told_or_orphaned(tmp_path: Path, why: str):
    """SIGTERM and the end of its supervisor both end it cleanly, with status 0."""
    url = f"sqlite:///{tmp_path}/tallygate.db"
    await prepare(url)
    (tmp_path / "data").mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "c.sock"))
    listener.listen()
    go_read, go_write = os.pipe()
    numbers = [str(listener.fileno()), str(go_read)]
    process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs in this loop
        [sys.executable, "-c", PROCESS, str(tmp_path / "data"), *numbers, url],
        pass_fds=(listener.fileno(), go_read),
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    os.close(go_read)
    assert process.stdout is not None
    assert process.stdout.read(1) == b"R"
    async with Caller(tmp_path / "c.sock") as caller:
        assert (await caller.command(CreateKey(), ACTOR))["id"] == 1
    if why == "told":
        process.send_signal(signal.SIGTERM)
    os.close(go_write)
    assert process.wait(timeout=120) == 0
    process.stdout.close()
    listener.close()
