"""The Worker's own tests in the real workerd; where that runtime is missing they fail."""

import pytest

from tests.web.conftest import ROOT, Npm

pytestmark = pytest.mark.slow


def test_the_worker_does_in_workerd_what_it_should(npm: Npm) -> None:
    """Verdicts by the shared vectors, streams, WebSockets, limits, and reports that harm nobody."""
    npm("run", "test", "--workspace", "@tallygate/edge")


def test_the_workers_types_hold(npm: Npm) -> None:
    """The Worker's and its tests', strictly."""
    npm("run", "check", "--workspace", "@tallygate/edge")


def test_the_worker_is_set_up_as_its_documents_say() -> None:
    """Who deploys it by the README must find there what the code reads."""
    readme = (ROOT / "edge" / "README.md").read_text("utf-8")
    settings = (ROOT / "edge" / "src" / "env.ts").read_text("utf-8")
    names = {line.split()[1].rstrip("?:") for line in settings.splitlines() if "readonly" in line}
    assert len(names) > 8
    assert [name for name in sorted(names) if f"`{name}`" not in readme] == []
    wrangler = (ROOT / "edge" / "wrangler.toml").read_text("utf-8")
    for section in ("[vars]", "[env.dev.vars]"):
        assert "TOKEN_MANAGER_BACKEND = " in wrangler.partition(f"\n{section}\n")[2].split("\n[")[0]
