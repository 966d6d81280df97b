"""The console's own checks: lint, types, unit tests, and the size of what a browser loads first."""

import gzip
import json
import re
from pathlib import Path

import pytest

from scripts import web
from tests.web.conftest import ROOT, Npm

pytestmark = pytest.mark.slow

FIRST_SCRIPT_BYTES_MAX = 300 * 1024


def test_the_javascript_is_linted_and_formatted(npm: Npm) -> None:
    """One style and the rules of hooks, in console, SDKs and edge alike."""
    npm("run", "lint")


def test_the_console_fits_the_contract(npm: Npm) -> None:
    """Its types are generated from contract/openapi.json, so a changed API shows here."""
    npm("run", "check", "--workspace", "console")


def test_the_consoles_parts_do_what_they_say(npm: Npm) -> None:
    """Money, addresses, tables and streams, without a browser."""
    npm("run", "test", "--workspace", "console")


def test_the_first_page_is_at_most_300_kb_of_compressed_script() -> None:
    """On a slow line the script is what one waits for."""
    web.build_console()
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in first_scripts(web.BUILT)}
    assert len(sizes) > 1
    assert sum(sizes.values()) <= FIRST_SCRIPT_BYTES_MAX, json.dumps(sizes, indent=1)


def first_scripts(built: Path) -> set[Path]:
    """What the page, the sign-in form and the overview import, and all that these import."""
    wanted = {
        built / "assets" / name
        for name in re.findall(r"/assets/([\w-]+\.js)", (built / "index.html").read_text("utf-8"))
    }
    for first in ("SignIn", "Overview"):
        wanted.update((built / "assets").glob(f"{first}-*.js"))
    waiting = list(wanted)
    while waiting:
        text = waiting.pop().read_text("utf-8")
        named = re.findall(r"(?:from|import)\s*[\"'`]\./([\w-]+\.js)[\"'`]", text)
        found = {built / "assets" / name for name in named} - wanted
        wanted |= found
        waiting.extend(found)
    return wanted


def test_every_page_knows_its_files_and_those_with_charts_the_charts() -> None:
    """What is not named ahead is asked for only after the script that wants it has run."""
    web.build_console()
    pages: dict[str, list[str]] = json.loads((web.BUILT / "pages.json").read_text("utf-8"))
    first = (web.BUILT / "index.html").read_text("utf-8")
    for path, files in pages.items():
        assert files and not [name for name in files if name in first], path
        assert not [name for name in files if not (web.BUILT / name).is_file()], path
    with_charts = {path for path, files in pages.items() if "assets/Canvas-" in str(files)}
    assert {"/console/overview", "/console/usage"} <= with_charts
    assert not with_charts & {"/console/keys", "/console/settings"}


def test_the_page_begins_before_the_consoles_script_is_there() -> None:
    """The theme and the first questions do not wait for the largest file, nor for the style."""
    web.build_console()
    head = (web.BUILT / "index.html").read_text("utf-8").partition("</head>")[0]
    begins = re.search(r'<script src="/(assets/begin-[\w-]+\.js)"></script>', head)
    assert begins and begins.start() < head.index('rel="stylesheet"') < len(head)
    script = (web.BUILT / begins[1]).read_text("utf-8")
    assert "import" not in re.sub(r"//.*", "", script) and "export" not in script
    assert len(script) < 4_000


def test_a_build_is_repeated_only_when_something_changed() -> None:
    """`make setup` is run before everything else, so it must be over at once."""
    web.build_console()
    assert web.build_console() is False
    assert (ROOT / "src" / "tallygate" / "console_files" / "index.html").is_file()
