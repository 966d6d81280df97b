"""`tallygate prices` and `tallygate rate`, without a server."""

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import Shell, shell  # noqa: F401 - a fixture

HEAD = "model_name,input_token_price,output_token_price"


@pytest.fixture
def made(shell: Shell) -> Shell:  # noqa: F811
    """With a store that has the catalogue's prices."""
    assert shell.run("keys", "create")[0] == 0
    return shell


def set_price(shell: Shell, model: str, *words: str) -> dict:  # noqa: F811
    return shell.json("prices", "set", model, *words)


def listed(shell: Shell) -> dict[str, dict]:  # noqa: F811
    return {one["model_name"]: one for one in shell.json("prices", "list")}


def test_a_new_store_has_prices_and_a_rate(made: Shell) -> None:
    """The first chat can be charged without anybody having typed a price."""
    assert made.json("rate", "show")["rate"] == 10000
    found = listed(made)
    assert len(found) > 200
    assert found["gpt-4o"]["input_token_price"] == "2.5"
    assert found["demo/echo"]["currency"] == "points"
    assert found["gpt-4o"]["source"] == "catalogue"
    assert "1 USD is 10000 points" in made.run("rate", "show")[1]
    assert "deepseek-chat" in made.run("prices", "list")[1]


def test_a_price_is_set_changed_and_remembered(made: Shell) -> None:
    first = set_price(made, "a/b", "--input", "30", "--output", "60", "--currency", "points")
    assert (first["per_tokens"], first["input_token_price"]) == (1000, "30")
    words = ("--cache-read", "3", "--request", "0.5", "--reason", "cheaper", "--inactive")
    second = set_price(made, "A/B", *words)
    assert (second["input_token_price"], second["cache_read_token_price"]) == ("30", "3")
    third = set_price(made, "a/b", "--cache-read", "none", "--active", "--from", "2001-01-01")
    assert (third["cache_read_token_price"], third["is_active"]) == (None, True)
    versions = made.json("prices", "history", "a/b")
    assert [one["state"] for one in versions] == ["current", "past", "past"]
    assert (versions[1]["admin_id"], versions[1]["reason"]) == ("cli", "cheaper")
    assert "cheaper" in made.run("prices", "history", "a/b")[1]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("set", "new", "--input", "1"), 1, "output_token_price"),
        (("set", "new", "--input", "-1", "--output", "1"), 1, "negative"),
        (("set", "gpt-4o", "--per", "7"), 1, "per_tokens"),
        (("set", "gpt-4o", "--currency", "eur"), 1, "currency"),
        (("set", "gpt-4o", "--from", "2999-01-01"), 1, "ten years"),
        (("set", "gpt-4o", "--from", "soon"), 2, ""),
        (("history", "nothing"), 1, "no model"),
        (("alias", "x"), 2, "--remove"),
        (("alias", "x", "y", "--remove"), 2, "--remove"),
        (("alias", "x", "--remove"), 1, "no model has"),
        (("alias", "x", "nothing"), 1, "no model"),
        (("import",), 2, "--catalogue"),
        (("import", "x.csv", "--catalogue", "--yes"), 2, "--catalogue"),
        (("import", "x.csv", "--provider", "openrouter", "--yes"), 2, "--catalogue"),
        (("import", "x.csv"), 2, "--yes"),
        (("import", "x.csv", "--yes"), 1, "x.csv"),
        (("import", "--catalogue", "--provider", "nobody", "--yes"), 2, "openrouter"),
        (("export", "--format", "xml"), 2, ""),
    ],
)
def test_what_makes_no_sense_ends_with_one_line(
    made: Shell, words: tuple[str, ...], status: int, said: str
) -> None:
    """The line says what to do instead, and nothing is changed."""
    before = made.json("prices", "list")
    ended, out, err = made.run("prices", *words)
    assert (ended, out) == (status, "") and said in err
    assert made.json("prices", "list") == before


def test_a_rate_is_set_and_remembered(made: Shell) -> None:
    assert made.json("rate", "set", "7.5", "--reason", "why")["rate_micros"] == 7_500_000
    assert made.run("rate", "set", "0")[0] == 1
    first, second = made.json("rate", "history")
    assert (first["new_rate"], first["old_rate"], first["reason"]) == (7.5, 10000, "why")
    assert second["old_rate"] is None
    assert "why" in made.run("rate", "history")[1]


def test_another_name_is_given_and_taken_away(made: Shell) -> None:
    assert made.json("prices", "alias", "Four", "gpt-4") == {"name": "Four", "model": "gpt-4"}
    assert "Four" in listed(made)["gpt-4"]["aliases"]
    assert made.run("prices", "alias", "four", "--remove")[0] == 0
    assert "Four" not in listed(made)["gpt-4"]["aliases"]


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_what_is_exported_is_imported_without_a_difference(
    made: Shell, tmp_path: Path, kind: str
) -> None:
    """And into another, empty store with all that there was."""
    set_price(made, '模型,"x"', "--input", "0.1", "--output", "2", "--currency", "points")
    set_price(made, "gpt-4o", "--inactive")
    made.run("prices", "alias", "my model", "gpt-4o")
    status, out, _ = made.run("prices", "export", "--format", kind)
    assert status == 0
    file = tmp_path / f"prices.{kind}"
    file.write_text(out, "utf-8")
    report = made.json("prices", "import", str(file), "--yes")
    assert (report["changes"], report["applied"]) == ([], False)
    assert report["same"] == len(listed(made))
    other = Shell(tmp_path / "other", made._capsys)
    assert other.json("prices", "import", str(file), "--yes")["applied"]
    assert listed(other).keys() == listed(made).keys()
    again = other.run("prices", "export", "--format", kind)[1]
    assert again == out


def test_a_list_is_shown_before_it_counts(made: Shell, tmp_path: Path) -> None:
    """Nobody can be asked here, so without --yes nothing happens."""
    file = tmp_path / "list.csv"
    file.write_text(f"{HEAD},currency,aliases\nnew-one,1,2,points,n1|n2\ngpt-4o,5,6,usd,\n")
    status, out, _ = made.run("prices", "import", str(file), "--dry-run")
    assert status == 0 and "new-one" in out and "1 new, 1 changed, 0 kept, 0 the same" in out
    assert "nothing was changed" in out
    assert "new-one" not in listed(made)
    status, out, _ = made.run("prices", "import", str(file), "--yes")
    assert status == 0 and "applied" in out
    found = listed(made)
    assert found["new-one"]["aliases"] == ["n1", "n2"]
    assert (found["gpt-4o"]["per_tokens"], found["gpt-4o"]["input_token_price"]) == (1000, "5")
    assert found["gpt-4o"]["reason"] == "from list.csv"


def test_saying_no_changes_nothing(
    made: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(f"{HEAD},currency\nnew-one,1,2,points\n")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answers = iter([False, True])
    monkeypatch.setattr("typer.confirm", lambda *_, **__: next(answers))
    assert "nothing was changed" in made.run("prices", "import", str(file))[1]
    assert "new-one" not in listed(made)
    assert "applied" in made.run("prices", "import", str(file))[1]
    assert "new-one" in listed(made)


def test_the_catalogue_leaves_alone_what_an_operator_set(made: Shell) -> None:
    set_price(made, "gpt-4o", "--input", "99")
    report = made.json("prices", "import", "--catalogue", "--yes")
    assert [(one["model_name"], one["kind"]) for one in report["changes"]] == [("gpt-4o", "kept")]
    assert not report["applied"]
    report = made.json("prices", "import", "--catalogue", "--replace", "--yes")
    assert report["applied"] and listed(made)["gpt-4o"]["input_token_price"] == "2.5"
    reseller = ("prices", "import", "--catalogue", "--provider", "openrouter", "--dry-run")
    names = {one["model_name"] for one in made.json(*reseller)["changes"]}
    assert "openai/gpt-4o" in names


BAD = {
    "empty.csv": "",
    "no-column.csv": "model_name,input_token_price\nm,1\n",
    "other-column.csv": f"{HEAD},colour\nm,1,1,red\n",
    "twice.csv": f"{HEAD},currency,currency\nm,1,1,usd,usd\n",
    "short.csv": f"{HEAD}\nm,1\n",
    "long.csv": f"{HEAD}\nm,1,1,1\n",
    "no-number.csv": f"{HEAD}\nm,1,cheap\n",
    "negative.csv": f"{HEAD}\nm,1,-1\n",
    "unit.csv": f"{HEAD},per_tokens\nm,1,1,7\n",
    "words.csv": f"{HEAD},per_tokens\nm,1,1,many\n",
    "active.csv": f"{HEAD},is_active\nm,1,1,perhaps\n",
    "models.csv": f"{HEAD}\nm,1,1\nM,2,2\n",
    "quote.csv": f'{HEAD}\n"m,1,1\n',
    "nameless.csv": f"{HEAD}\n,1,1\n",
    "broken.json": "[{",
    "object.json": "{}",
    "field.json": '[{"model_name":"m","input_token_price":1,"output_token_price":1,"x":1}]',
    "missing.json": '[{"model_name":"m","input_token_price":1}]',
    "null.json": '[{"model_name":"m","input_token_price":null,"output_token_price":1}]',
    "kind.txt": "",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_whole(made: Shell, tmp_path: Path, name: str) -> None:
    """One line says what is wrong; not even the good rows before it are taken."""
    before = made.json("prices", "list")
    file = tmp_path / name
    file.write_text(BAD[name])
    status, out, err = made.run("prices", "import", str(file), "--yes")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert made.json("prices", "list") == before


def test_a_spreadsheets_csv_is_read(made: Shell, tmp_path: Path) -> None:
    """With a byte order mark, other line ends and empty cells, as spreadsheets write them."""
    file = tmp_path / "list.CSV"
    head = f"{HEAD},cache_read_token_price,request_price,currency,per_tokens,is_active,aliases"
    file.write_bytes(f"\ufeff{head}\r\n m ,1,2,,,points,1000000,FALSE, a | |b\r\n".encode())
    made.json("prices", "import", str(file), "--yes")
    found = listed(made)["m"]
    assert (found["per_tokens"], found["is_active"], found["aliases"]) == (
        1_000_000,
        False,
        ["a", "b"],
    )


def test_json_numbers_are_taken_digit_by_digit(made: Shell, tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    row = {"model_name": "m", "input_token_price": "HERE", "output_token_price": "1e-6"}
    text = json.dumps([{**row, "cache_read_token_price": None, "currency": "points"}])
    file.write_text(text.replace('"HERE"', "0.123456789"))
    made.json("prices", "import", str(file), "--yes")
    found = listed(made)["m"]
    assert (found["input_token_price"], found["output_token_price"]) == ("0.123456789", "0.000001")
