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
from pydantic_settings import BaseSettings, SettingsConfigDict

from tests.tidy.source import ROOT

REFERENCE = ROOT / "docs" / "reference"


def undocumented(names: Iterable[str], page: str) -> list[str]:
    """Names that do not occur in the page by themselves, not as a part of a longer one."""
    return [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page)]


def setting_names(settings: type[BaseModel], prefix: str = "", nested: str = "") -> Iterator[str]:
    """Every environment variable that sets something, aliases included."""
    for name, field in settings.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias] if alias else []
        spelt = [str(one).upper() for one in choices] or [f"{prefix}{name}".upper()]
        inner = field.annotation
        if nested and isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from setting_names(inner, f"{spelt[0]}{nested}", nested)
        else:
            yield from spelt


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
    config = settings.model_config
    prefix, nested = config.get("env_prefix") or "", config.get("env_nested_delimiter") or ""
    assert undocumented(setting_names(settings, prefix, nested), page("settings.md")) == []


def test_every_command_is_documented() -> None:
    app = module_if_written("tallygate.cli").app
    commands = command_names(typer.main.get_command(app), "tallygate")
    assert undocumented(commands, page("cli.md")) == []


def test_every_error_code_is_documented() -> None:
    """Programs branch on a code; the page is what makes it a promise."""
    codes: type[Enum] = module_if_written("tallygate.core.errors").Code
    assert undocumented((str(code.value) for code in codes), page("errors.md")) == []


def test_settings_are_named_as_the_environment_spells_them() -> None:
    class Journal(BaseModel):
        size_max: int = 1

    class Settings(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="TALLYGATE_", env_nested_delimiter="__")
        host: str = "127.0.0.1"
        port: int = Field(8787, validation_alias=AliasChoices("TALLYGATE_PORT", "PORT"))
        journal: Journal = Journal()

    assert list(setting_names(Settings, "TALLYGATE_", "__")) == [
        "TALLYGATE_HOST",
        "TALLYGATE_PORT",
        "PORT",
        "TALLYGATE_JOURNAL__SIZE_MAX",
    ]


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
