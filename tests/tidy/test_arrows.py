"""Imports run one way, so that a part can be understood, tested and replaced by itself."""

from collections.abc import Iterable, Iterator

from tests.tidy.source import Module, imports, layer_of, modules_in, parse, violations

SHARED = {"core", "tasks"}
ROLE = SHARED | {"telemetry", "config", "clock"}
ANY = None

# Who may import whom. `config` costs a gateway pydantic, so the gateway names it for types only;
# the test on what it loads at run time sees to that.
MAY_IMPORT: dict[str, set[str] | None] = {
    "core": set(),
    "tasks": set(),
    "clock": {"core"},
    "config": {"core"},
    "telemetry": {"core", "config"},
    "wire": SHARED,
    "journal": SHARED,
    "store": SHARED | {"clock"},
    "kinds": {"core"},  # what a credential can be: control checks by it, the keeper works by it
    "gateway": ROLE | {"wire", "journal"},
    "clerk": ROLE | {"wire", "journal", "store", "kinds"},
    "keeper": ROLE | {"wire", "store", "kinds"},
    "control": ROLE | {"wire", "store", "kinds"},
    "supervisor": ANY,
    "app": ANY,
    "docs": ANY,
    "cli": ANY,
    "__main__": ANY,
}
ONLY_AT_THE_TOP = {"supervisor", "app", "docs", "cli", "__main__"}
TOO_HEAVY_FOR_A_GATEWAY = {
    *("sqlalchemy", "alembic", "fastapi", "pydantic", "pydantic_settings"),
    *("genai_prices", "httpx2"),
}


def wrong_arrows(module: Module) -> Iterator[str]:
    if not module.layer:  # tallygate itself: imported by everyone, so it may import no one
        allowed: set[str] | None = set()
    elif module.layer not in MAY_IMPORT:
        yield f"`{module.layer}` has no place in MAY_IMPORT yet: say whom it may import"
        return
    else:
        allowed = MAY_IMPORT[module.layer]
    for name in imports(module):
        if layer := imported_layer(name):
            if allowed is not None and layer not in allowed | {module.layer}:
                yield f"`{module.layer}` may not import {name}"
            if layer == "cli" and module.layer not in {"cli", "docs", "__main__"}:
                yield f"nothing may import the command line, yet {name} is imported"


def imported_layer(name: str) -> str:
    """The part of ours that an import reaches; nothing for other people's modules and names
    that the package itself defines, such as its version."""
    layer = layer_of(name) if name.startswith("tallygate.") else ""
    return "" if layer.startswith("__version") else layer


def loaded_by(start: str, modules: Iterable[Module]) -> dict[str, list[str]]:
    """Everything that importing the package `start` can load, each with the path that leads to it.

    An import inside a function counts: it would load at the worst time, in the first request.
    """
    ours = {module.name: module for module in modules}
    paths = {name: [name] for name in ours if is_within(name, start)}
    queue = list(paths)
    while queue:
        name = queue.pop()
        for loaded in (part for one in imports(ours[name], at_run_time=True) for part in up(one)):
            if loaded not in paths:
                paths[loaded] = [*paths[name], loaded]
                if loaded in ours:
                    queue.append(loaded)
    return paths


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def up(name: str) -> Iterator[str]:
    """A module and the packages around it: importing `a.b.c` runs all three."""
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def heavy_in_a_gateway(modules: Iterable[Module]) -> list[str]:
    loaded = loaded_by("tallygate.gateway", modules)
    return [" → ".join(loaded[name]) for name in sorted(TOO_HEAVY_FOR_A_GATEWAY & loaded.keys())]


def test_imports_run_one_way() -> None:
    """Siblings that know each other grow together until neither can be changed alone."""
    assert violations(wrong_arrows, modules_in("src")) == []


def test_a_gateway_loads_neither_sql_nor_a_web_framework() -> None:
    """A gateway starts within two seconds and there is one per core: it carries what it needs."""
    assert heavy_in_a_gateway(modules_in("src")) == []


def test_a_wrong_arrow_is_found_in_every_form_of_import() -> None:
    for text in (
        "import tallygate.store.wallets",
        "from tallygate.store import wallets",
        "from tallygate import store",
        "from .. import store",
        "from ..store.wallets import Wallet",
        "def later():\n    from tallygate import store",
    ):
        assert list(wrong_arrows(parse(text, "tallygate.gateway.admit"))), text


def test_a_right_arrow_is_left_alone() -> None:
    text = "from tallygate.core import money\nfrom . import pool\nfrom tallygate import __version__"
    assert list(wrong_arrows(parse(text, "tallygate.gateway.admit"))) == []


def test_a_part_without_a_place_is_refused() -> None:
    assert list(wrong_arrows(parse("", "tallygate.misc")))


def test_a_gateway_is_caught_loading_sql_through_another_module() -> None:
    modules = [
        parse("from tallygate.core import deep", "tallygate.gateway.admit"),
        parse("def late():\n    from sqlalchemy import text", "tallygate.core.deep"),
    ]
    assert heavy_in_a_gateway(modules) == [
        "tallygate.gateway.admit → tallygate.core.deep → sqlalchemy"
    ]


def test_a_gateway_may_name_the_settings_for_types_only() -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tallygate import config"
    modules = [
        parse(text, "tallygate.gateway.admit"),
        parse("import pydantic", "tallygate.config"),
    ]
    assert heavy_in_a_gateway(modules) == []


def test_the_table_of_arrows_names_only_parts_it_knows() -> None:
    """A slip in the table would allow an import that nobody decided to allow."""
    named = {name for allowed in MAY_IMPORT.values() for name in allowed or ()}
    assert named <= MAY_IMPORT.keys() - ONLY_AT_THE_TOP
