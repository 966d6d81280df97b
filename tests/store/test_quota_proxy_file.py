"""Files of the seed's server, as they are found in the field."""

import datetime
import sqlite3
from pathlib import Path

import pytest

from tallygate.store.quota_proxy_file import NotAQuotaProxyFile, holds_trial_keys, read_file

SCHEMA = """
CREATE TABLE trial_keys (key TEXT PRIMARY KEY, label TEXT, created_at INTEGER,
    daily_limit INTEGER, is_active INTEGER DEFAULT 1);
CREATE TABLE usage_stats (id INTEGER PRIMARY KEY AUTOINCREMENT, trial_key TEXT, day TEXT,
    requests INTEGER, updated_at INTEGER, FOREIGN KEY (trial_key) REFERENCES trial_keys (key));
"""
KEY = "roc_7d9f8e7c6b5a4d3c2b1a0f9e8d7c6b5a"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "quota-proxy.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.execute(
        "INSERT INTO trial_keys VALUES (?, ?, ?, ?, ?)", (KEY, "测试用户", 1739299200000, 100, 1)
    )
    usage = (1, KEY, "2026-02-11", 15, 1739299300000)
    connection.execute("INSERT INTO usage_stats VALUES (?, ?, ?, ?, ?)", usage)
    connection.commit()
    connection.close()
    return path


def add_key(path: Path, *values: object) -> None:
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO trial_keys VALUES (?, ?, ?, ?, ?)", values)
    connection.commit()
    connection.close()


def test_everything_of_a_key_and_its_use_is_read(path: Path) -> None:
    """What is not read here is lost to whoever switches."""
    old = read_file(path)
    (key,), (usage,) = old.keys, old.usages
    assert (key.secret, key.label, key.created_ms) == (KEY, "测试用户", 1739299200000)
    assert (key.daily_limit, key.is_active) == (100, True)
    assert (usage.secret, usage.requests, usage.updated_ms) == (KEY, 15, 1739299300000)
    assert usage.day == datetime.date(2026, 2, 11)
    assert old.skipped == {}


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_the_file_and_its_folder_are_left_as_they_were(path: Path, mode: str) -> None:
    """Whoever tries the switch must be able to go back."""
    writer = sqlite3.connect(path)
    writer.execute(f"PRAGMA journal_mode = {mode}")
    writer.execute("UPDATE usage_stats SET requests = 16")
    writer.commit()
    before = {one.name: one.read_bytes() for one in path.parent.iterdir()}
    assert read_file(path).usages[0].requests == 16
    assert {one.name: one.read_bytes() for one in path.parent.iterdir()} == before
    writer.close()


def test_rows_without_sense_are_counted_and_the_rest_is_read(path: Path) -> None:
    """One bad row must neither stop the switch nor disappear unseen."""
    add_key(path, "", "no key", 0, 1, 1)
    add_key(path, "k" * 600, "too long", 0, 1, 1)
    add_key(path, "roc_minus", "below nothing", 0, -1, 1)
    add_key(path, "roc_words", "words", "whenever", 1, 1)
    old = read_file(path)
    assert [key.secret for key in old.keys] == [KEY]
    assert sum(old.skipped.values()) == 4
    assert len(old.skipped) == 4


def test_null_and_zero_limits_stay_what_they_are(path: Path) -> None:
    """0 lets nothing through and null has no limit: mixing them up is the worst mistake."""
    add_key(path, "roc_none", None, 1739299200, None, 0)
    add_key(path, "roc_zero", None, "2026-02-11 08:00:00", 0, None)
    _, none, zero = read_file(path).keys
    assert (none.daily_limit, none.is_active, none.created_ms) == (None, False, 1739299200000)
    assert (zero.daily_limit, zero.is_active, zero.created_ms) == (0, True, 1770796800000)


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    """The operator named the wrong file; the answer is not a traceback."""
    text, empty = tmp_path / "notes.txt", tmp_path / "empty.db"
    text.write_text("no database" * 100)
    sqlite3.connect(empty).close()
    for path in (text, empty, tmp_path / "missing.db", tmp_path):
        assert not holds_trial_keys(path)
        with pytest.raises(NotAQuotaProxyFile):
            read_file(path)
