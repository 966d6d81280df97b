"""The two npm packages for other people's pages: their own checks and tests, and what is published.

They are run as their developers run them.
"""

import json
import subprocess
from pathlib import Path

import pytest

from scripts import web
from tests.web.conftest import ROOT, Npm

pytestmark = pytest.mark.slow

PACKAGES = ("dify-monitor", "react")
# A page's own bundler asks for these; nothing else of ours may come along.
MAY_IMPORT = {"dify-monitor": set(), "react": {"react"}}


def said(*command: str, folder: Path) -> str:
    """What a program says; what it complains about is why the test fails."""
    ran = subprocess.run(command, cwd=folder, env=web.environment(), capture_output=True, text=True)
    assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(params=PACKAGES)
def package(request: pytest.FixtureRequest) -> Path:
    return ROOT / "sdk" / str(request.param)


@pytest.fixture
def built(npm: Npm, package: Path) -> Path:
    npm("run", "build", "--workspace", f"@tallygate/{package.name}")
    return package


def test_its_types_and_its_own_tests_pass(npm: Npm, package: Path) -> None:
    for script in ("check", "test"):
        npm("run", script, "--workspace", f"@tallygate/{package.name}")


def test_what_is_published_is_the_build_and_its_readme(built: Path) -> None:
    """No source, no test, no lock: and nothing that an earlier build has left behind."""
    [packed] = json.loads(said("npm", "pack", "--dry-run", "--json", folder=built))
    modules = [one.name.partition(".")[0] for one in (built / "src").iterdir()]
    expected = {f"dist/{name}.{ending}" for name in modules for ending in ("js", "d.ts")}
    assert {one["path"] for one in packed["files"]} == expected | {"README.md", "package.json"}
    manifest = json.loads((built / "package.json").read_text("utf-8"))
    assert "dependencies" not in manifest
    assert {manifest["main"], manifest["types"]} <= {f"./{path}" for path in expected}


def test_the_build_runs_where_there_is_no_page_and_needs_nothing_else(built: Path) -> None:
    """Pages are rendered on servers, too: importing it there must not fail."""
    script = "const all = await import('./dist/index.js'); console.log(Object.keys(all).join())"
    names = set(said("node", "--input-type=module", "-e", script, folder=built).strip().split(","))
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
