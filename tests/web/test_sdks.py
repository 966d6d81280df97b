"""The two npm packages for other people's pages: their own checks and tests, and what is published.

They are run as their developers run them. What must be there, `make setup` has brought.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.source import ROOT

pytestmark = pytest.mark.slow

PACKAGES = ("dify-monitor", "react")
DEADLINE_S = 240
# A page's own bundler asks for these; nothing else of ours may come along.
MAY_IMPORT = {"dify-monitor": set(), "react": {"react"}}


def run(*command: str, folder: Path = ROOT) -> str:
    """What a program says; what it complains about is why the test fails."""
    here = Path(sys.executable).parent
    path = os.pathsep.join((str(here), str(ROOT / "node_modules/.bin"), os.environ["PATH"]))
    found = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "CI": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert found.returncode == 0, f"{' '.join(command)}\n{found.stdout}\n{found.stderr}"
    return found.stdout


@pytest.fixture(params=PACKAGES)
def package(request: pytest.FixtureRequest) -> Path:
    return ROOT / "sdk" / str(request.param)


@pytest.fixture
def built(package: Path) -> Path:
    run("npm", "run", "--silent", "build", folder=package)
    return package


def test_the_code_is_formatted_and_finds_no_fault_with_the_linter() -> None:
    run("eslint", "--max-warnings=0", "sdk")
    run("prettier", "--check", "sdk")


def test_its_types_and_its_own_tests_pass(package: Path) -> None:
    run("npm", "run", "--silent", "check", folder=package)
    run("npm", "run", "--silent", "test", folder=package)


def test_what_is_published_is_the_build_and_its_readme(built: Path) -> None:
    """No source, no test, no lock: and nothing that an earlier build has left behind."""
    [packed] = json.loads(run("npm", "pack", "--dry-run", "--json", folder=built))
    modules = [one.name.partition(".")[0] for one in (built / "src").iterdir()]
    expected = {f"dist/{name}.{ending}" for name in modules for ending in ("js", "d.ts")}
    assert {one["path"] for one in packed["files"]} == expected | {"README.md", "package.json"}
    manifest = json.loads((built / "package.json").read_text("utf-8"))
    assert "dependencies" not in manifest
    assert {manifest["main"], manifest["types"]} <= {f"./{path}" for path in expected}


def test_the_build_runs_where_there_is_no_page_and_needs_nothing_else(built: Path) -> None:
    """Pages are rendered on servers, too: importing it there must not fail."""
    script = "const all = await import('./dist/index.js'); console.log(Object.keys(all).join())"
    names = set(run("node", "--input-type=module", "-e", script, folder=built).strip().split(","))
    public = {
        "dify-monitor": {"DifyIframeMonitor"},
        "react": {
            *("BalanceProtection", "checkBalanceBeforeAI", "getModelConfigs", "addModelConfig"),
            *("updateModelConfig", "getCurrentExchangeRate", "updateExchangeRate"),
            *("deductUserBalance", "addTokenUsageWithModel"),
        },
    }
    assert names >= public[built.name] | {"default"}
    imported = {
        line.rpartition(" from ")[2].strip("';\" ").partition("/")[0]
        for module in (built / "dist").glob("*.js")
        for line in module.read_text("utf-8").splitlines()
        if line.startswith(("import ", "export ", "} from "))
        and " from " in line
        and not line.rpartition(" from ")[2].startswith(("'.", '".'))
    }
    assert imported == MAY_IMPORT[built.name]
