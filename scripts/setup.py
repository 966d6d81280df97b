"""Make `.venv` hold what `requirements/dev.txt` says, and this checkout; build the console.

Runs on a bare Python, before anything is installed, so it imports the standard library only.
pip does the installing, because pip is what the user's mirror settings are written for.

`.venv/bin/tallygate` is written by the last step and removed before the first: where it is
missing, setup was interrupted and starts again.
"""

import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

import web

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
COMMAND = VENV / "bin" / "tallygate"
STAMP = VENV / "setup-stamp"
LOCK = ROOT / "requirements" / "dev.txt"
PYTHON_MIN = (3, 11)


def main() -> None:
    if sys.version_info < PYTHON_MIN:
        sys.exit(
            "Tallygate needs Python {}.{} or newer; `{}` is {}.{}. "
            "Name another, for example: make setup PYTHON=python3.12".format(
                *PYTHON_MIN, sys.executable, *sys.version_info[:2]
            )
        )
    started = time.monotonic()
    if is_current():
        if build_console():
            print(f"setup: console built in {time.monotonic() - started:.0f} s", flush=True)
        return
    COMMAND.unlink(missing_ok=True)
    if not holds_this_python():
        create_venv()
    print("setup: installing the locked dependencies (about a minute the first time)", flush=True)
    pip("--require-hashes", "--no-compile", "--requirement", str(LOCK))
    build_console()
    STAMP.write_text(stamp(), encoding="utf-8")
    pip("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    print(f"setup: done in {time.monotonic() - started:.0f} s", flush=True)


def is_current() -> bool:
    return COMMAND.exists() and STAMP.exists() and STAMP.read_text("utf-8") == stamp()


def stamp() -> str:
    """First line: what a .venv is bound to. Second line: what was installed into it."""
    installed = hashlib.sha256()
    for path in (ROOT / "pyproject.toml", LOCK, Path(__file__)):
        installed.update(path.read_bytes())
    return f"{binding()}\n{installed.hexdigest()}\n"


def binding() -> str:
    """A .venv serves one interpreter, and, by its scripts' first lines, one folder."""
    return f"{sys.version_info[:3]} {sys.base_prefix} {ROOT}"


def holds_this_python() -> bool:
    return (
        PYTHON.exists()
        and STAMP.exists()
        and STAMP.read_text("utf-8").partition("\n")[0] == binding()
    )


def create_venv() -> None:
    print(f"setup: creating {VENV.name} with Python {sys.version.split()[0]}", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    # As a command, not through the module `venv`: Debian leaves ensurepip out, and says which
    # package to install for it only here.
    created = subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False)
    if created.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit("setup: Python could not make a virtual environment; its reason stands above.")


def build_console() -> bool:
    try:
        return web.build_console()
    except web.WebFailed as failed:
        sys.exit(f"setup: {failed}")


def pip(*arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*command, *arguments], check=False).returncode:
        sys.exit("setup: pip failed; its reason stands above. Then run `make setup` again.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; run `make setup` again")
