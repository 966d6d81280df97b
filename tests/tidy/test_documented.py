"""A setting, a command or an error code without its line in the reference fails the build."""

import importlib
import importlib.util
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from types import ModuleType
from typing import Any

import pytest
import typer
from pydantic import AliasChoices, BaseModel, Field

from tallygate.store import (
    edge_schema,
    keeper_schema,
    money_schema,
    people_schema,
    schema,
    tables,
)
from tests.tidy.source import ROOT

REFERENCE = ROOT / "docs" / "reference"


def undocumented(names: Iterable[str], page: str) -> list[str]:
    """Names that do not occur in the page by themselves, not as a part of a longer one."""
    return [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page)]


def setting_names(settings: type[BaseModel]) -> Iterator[str]:
    """Every environment variable that sets something, aliases included."""
    for field in settings.model_fields.values():
        assert isinstance(field.validation_alias, AliasChoices)
        yield from map(str, field.validation_alias.choices)


def command_names(command: Any, path: str) -> Iterator[str]:  # typer brings a click of its own
    subcommands = getattr(command, "commands", {})
    for name, inner in subcommands.items():
        yield from command_names(inner, f"{path} {name}")
    if not subcommands:
        yield path


def page(name: str) -> str:
    path = REFERENCE / name
    assert path.is_file(), f"docs/reference/{name} is missing: `make docs` writes it"
    return path.read_text("utf-8")


def module_if_written(name: str) -> ModuleType:
    """Only a part that is not there yet is skipped; one that fails to import fails the test."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not written yet")
    return importlib.import_module(name)


def test_every_setting_is_documented() -> None:
    """A setting that only its author knows is a setting nobody can use."""
    settings = module_if_written("tallygate.config").Settings
    assert undocumented(setting_names(settings), page("settings.md")) == []


def test_every_command_is_documented() -> None:
    app = module_if_written("tallygate.cli.root").whole()
    commands = command_names(typer.main.get_command(app), "tallygate")
    assert undocumented(commands, page("cli.md")) == []


def test_every_error_code_is_documented() -> None:
    """Programs branch on a code; the page is what makes it a promise."""
    codes: type[Enum] = module_if_written("tallygate.core.errors").Code
    assert undocumented((str(code.value) for code in codes), page("errors.md")) == []


def test_what_the_architecture_names_is_there() -> None:
    """A page that points at files which were moved is not true to the code."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    named = set(re.findall(r"(?:tests|docs|src)/[\w./-]*\w/?", text))
    modules = re.findall(r"(?<![\w/])(?!tests/)\w+/\w+\.py", text)
    named |= {f"src/tallygate/{one}" for one in modules}
    assert len(named) > 20
    assert [one for one in sorted(named) if not (ROOT / one).exists()] == []


def test_every_table_is_named_in_the_architecture() -> None:
    # Who is imported is in the metadata.
    assert all((schema, people_schema, money_schema, keeper_schema, edge_schema))
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    assert [name for name in tables.metadata.tables if f"`{name}`" not in text] == []


def test_settings_are_named_as_the_environment_spells_them() -> None:
    class Settings(BaseModel):
        host: str = Field("127.0.0.1", validation_alias=AliasChoices("TALLYGATE_HOST"))
        port: int = Field(8787, validation_alias=AliasChoices("TALLYGATE_PORT", "PORT"))

    assert list(setting_names(Settings)) == ["TALLYGATE_HOST", "TALLYGATE_PORT", "PORT"]


def test_commands_are_named_with_their_groups() -> None:
    app, token = typer.Typer(), typer.Typer()
    app.add_typer(token, name="token")
    app.command("serve")(lambda: None)
    token.command("create")(lambda: None)
    token.command("list")(lambda: None)
    names = command_names(typer.main.get_command(app), "tallygate")
    assert sorted(names) == ["tallygate serve", "tallygate token create", "tallygate token list"]


def test_a_name_inside_a_longer_one_does_not_count_as_documented() -> None:
    assert undocumented(["PORT", "key_unknown"], "TALLYGATE_PORT, `key_unknown_yet`") == [
        "PORT",
        "key_unknown",
    ]
    assert undocumented(["PORT"], "| `PORT` | 8787 |") == []
