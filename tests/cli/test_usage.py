"""tallygate usage, beside no server: what an operator asks, and what the rows say."""

import asyncio
import csv
import io
import json
import time

import pytest

from tallygate.store.database import Database
from tests.cli.test_commands import Shell, shell  # noqa: F401 - a fixture
from tests.store.uses import insert, use

ANSWERS = (
    *("overview", "series", "heatmap", "latency", "errors", "hot"),
    *("top-tokens", "top-routes", "top-models", "unused", "forecast", "advice", "export"),
)


def add_uses(shell: Shell) -> None:  # noqa: F811 - the fixture
    """Two of now, one of which went wrong, and one of two days ago."""
    now_ms = int(time.time() * 1000)

    async def add() -> None:
        db = Database(f"sqlite:///{shell.data / 'tallygate.db'}")
        await db.open()
        async with db.writing() as tx:
            await insert(
                tx,
                [
                    use(at_ms=now_ms - 2 * 86_400_000),
                    use(at_ms=now_ms, agent="=evil"),
                    use(at_ms=now_ms, route="/api/test", model="", status=500),
                ],
            )
        await db.close()

    asyncio.run(add())


@pytest.fixture
def used(shell: Shell) -> Shell:  # noqa: F811
    for name in ("n8n", "idle"):
        status, _, said = shell.run("tokens", "create", name)
        assert status == 0, said
    add_uses(shell)
    return shell


def test_every_answer_is_one_for_people_and_one_for_programs(used: Shell) -> None:
    """The same answers as the API's; people get tables, and none of them is empty."""
    for name in ANSWERS:
        status, out, said = used.run("usage", name)
        assert (status, bool(out)) == (0, True), (name, said)
        if name != "export":
            assert isinstance(used.json("usage", name), dict), name


def test_answers_are_about_the_rows(used: Shell) -> None:
    assert used.json("usage", "series")["total"]["uses"] == 3
    assert used.json("usage", "series", "--hours", "1", "--route", "/api/test")["total"]["errors"]
    (top,) = used.json("usage", "top-tokens", "--limit", "1")["items"]
    assert (top["token"]["label"], top["uses"]) == ("n8n", 3)
    names = [one["label"] for one in used.json("usage", "unused")["never"]]
    assert "idle" in names
    assert "never" in used.run("usage", "unused")[1]


def test_an_export_goes_to_standard_output(used: Shell) -> None:
    """For a file or a pipe; no cell is a formula."""
    rows = list(csv.DictReader(io.StringIO(used.run("usage", "export")[1])))
    assert [row["token"] for row in rows] == ["n8n"] * 3
    assert {row["agent"] for row in rows} == {"test", "'=evil"}
    lines = used.run("usage", "export", "--per", "token", "--format", "jsonl")[1].splitlines()
    assert sum(json.loads(line)["uses"] for line in lines) == 3


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("series", "--days", "0"), 2),
        (("series", "--by", "week"), 2),
        (("top-tokens", "--rank", "name"), 2),
        (("export", "--format", "xml"), 2),
        (("export", "--from", "yesterday"), 2),
        (("series", "--team", "nobody"), 1),
    ],
)
def test_a_bad_question_ends_with_a_word_and_a_status(
    used: Shell, words: tuple[str, ...], status: int
) -> None:
    found, _, said = used.run("usage", *words)
    assert found == status
    assert said and "Traceback" not in said


@pytest.mark.parametrize("name", ANSWERS)
def test_a_folder_without_a_store_is_named_and_left_empty(
    shell: Shell,  # noqa: F811
    name: str,
) -> None:
    """Asking makes nothing."""
    status, _, said = shell.run("usage", name)
    assert status == 3
    assert str(shell.data) in said
    assert not shell.data.exists()
