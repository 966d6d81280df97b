"""Credentials are read from what people have, and refused in one line that holds no secret."""

from pathlib import Path

import pytest

from tallygate.core.credential_intake import (
    BadCredential,
    check_name,
    check_variables,
    credential_of,
    parts_of,
    read_rows,
)
from tallygate.kinds import load

KINDS = load(Path("nowhere")).usable
BAOMING, OAUTH2 = KINDS["baoming"], KINDS["oauth2"]


def test_a_bare_line_is_the_part_that_is_given() -> None:
    assert parts_of(BAOMING, " t0ken\r\n") == {"secret": "t0ken"}
    assert parts_of(OAUTH2, "r") == {"refresh_token": "r"}
    whole = '{"refresh_token": "r", "client_secret": "c"}'
    assert parts_of(OAUTH2, whole) == {"refresh_token": "r", "client_secret": "c"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "two\nlines-s3cret",
        "{s3cret",
        '{"refresh_token": "s3cret", "client_secret": 1}',
        '{"client_secret": "s3cret"}',
        "s3cret" * 5000,
    ],
)
def test_a_bad_secret_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(BadCredential) as said:
        parts_of(OAUTH2, text)
    assert "s3cret" not in str(said.value)


def test_variables_are_checked_before_anything_is_kept() -> None:
    check_variables(BAOMING, {"base_url": "https://h/api"}, is_complete=True)
    check_variables(BAOMING, {}, is_complete=False)
    for variables in ({}, {"base_url": "nowhere"}, {"base_url": "https://h", "x": "1"}):
        with pytest.raises(BadCredential):
            check_variables(BAOMING, variables, is_complete=True)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[2J", "x" * 201])
def test_a_name_that_would_spoil_a_log_is_refused(name: str) -> None:
    with pytest.raises(BadCredential):
        check_name(name)


@pytest.mark.parametrize(
    ("written", "at_ms"),
    [
        ("2024-02-09 10:30:00", 1_707_474_600_000),
        ("2024-02-09T18:30:00+08:00", 1_707_474_600_000),
        (1_707_474_600, 1_707_474_600_000),
        (1_707_474_600_000, 1_707_474_600_000),
        ("1707474600", 1_707_474_600_000),
        ({"$date": "2024-02-09T10:30:00Z"}, 1_707_474_600_000),
        ("", None),
        (None, None),
    ],
)
def test_times_are_understood_as_other_systems_write_them(written: object, at_ms: int) -> None:
    """Mongo's export, a spreadsheet and a log each write the same moment differently."""
    made = credential_of(BAOMING, {"token": "t", "name": "n", "last_used": written}, {})
    assert made.last_used_ms == at_ms


def test_a_row_speaks_the_words_of_its_system() -> None:
    row = {"access_token": "t", "名片": "统一", "用户": "张三", "base_url": "https://h"}
    made = credential_of(BAOMING, row, {"base_url": "https://other"})
    assert (made.name, made.user, made.parts) == ("统一", "张三", {"secret": "t"})
    assert made.variables == {"base_url": "https://h"}


def test_lines_that_say_nothing_are_counted_not_taken() -> None:
    text = '\ufeff{"token":"a"}\n\n[1]\n{"name":"no token"}\nnot json\n'
    rows = list(read_rows(text, "x.jsonl"))
    assert [number for number, _ in rows] == [1, 3, 4, 5]
    assert [isinstance(fields, str) for _, fields in rows] == [False, True, False, True]
    with pytest.raises(BadCredential, match="no token"):
        credential_of(BAOMING, {"name": "no token"}, {})
    with pytest.raises(BadCredential, match="no time"):
        credential_of(BAOMING, {"token": "t", "last_used": "yesterday"}, {})


def test_a_spreadsheet_is_read_with_its_quotes() -> None:
    text = 'token,name,user\n"a,b","two\nlines",x,more\nc,d\n'
    rows = [fields for _, fields in read_rows(text, "X.CSV")]
    assert rows[0] == {"token": "a,b", "name": "two\nlines", "user": "x"}
    assert rows[1] == {"token": "c", "name": "d", "user": None}
