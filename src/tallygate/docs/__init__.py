"""The reference, written out of the code: settings, error codes, commands, roles, the HTTP API.

`make docs` writes it; a test compares what is written with what the code says by now.
"""

from pathlib import Path

from tallygate.docs import api, commands, errors, roles, settings


def pages(reference: Path) -> dict[Path, str]:
    """Every generated file and what it should say."""
    return {
        reference / "settings.md": settings.page(),
        reference / "errors.md": errors.page(),
        reference / "cli.md": commands.page(),
        reference / "roles.md": roles.page(),
        reference / "api.md": api.page(),
        reference.parent.parent / "contract" / "openapi.json": api.document(),
    }


def write(reference: Path) -> None:
    for path, content in pages(reference).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
