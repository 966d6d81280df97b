"""Looking after a SQLite file: what is kept when things go wrong."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tallygate.store import maintenance
from tallygate.store.maintenance import MaintenanceRefused, server_stopped


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "tallygate.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE store (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE api_key (id INTEGER PRIMARY KEY, label TEXT)")
        connection.execute("CREATE TABLE counter (limit_id INTEGER, spent INTEGER)")
        connection.execute("CREATE INDEX by_label ON api_key (label)")
        rows = [(number, f"label {number} " + "x" * 200) for number in range(1, 2001)]
        connection.executemany("INSERT INTO api_key VALUES (?, ?)", rows)
    connection.close()
    return path


def labels(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT count(*) FROM api_key").fetchone()[0]
    finally:
        connection.close()


def test_a_backup_of_a_store_in_use_is_whole_and_private(store: Path, tmp_path: Path) -> None:
    """Backups are taken from running servers, and hold what a server's own folder protects."""
    writer = sqlite3.connect(store)
    writer.execute("INSERT INTO api_key VALUES (9999, 'not committed')")
    target = tmp_path / "copy.db"
    assert maintenance.backup(store, target) == target.stat().st_size
    writer.rollback()
    assert labels(target) == 2000
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db"]


def test_a_backup_never_overwrites_a_file(store: Path, tmp_path: Path) -> None:
    """The file may be the only other copy."""
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(MaintenanceRefused, match="exists"):
        maintenance.backup(store, target)
    assert target.read_text() == "precious"


def test_restoring_keeps_the_old_store_aside(store: Path, tmp_path: Path) -> None:
    """A restore of the wrong backup must be undone as easily."""
    maintenance.backup(store, tmp_path / "copy.db")
    with sqlite3.connect(store) as connection:
        connection.execute("DELETE FROM api_key WHERE id > 10")
    connection.close()
    kept_as = maintenance.restore(tmp_path / "copy.db", store, "20260211")
    assert labels(store) == 2000
    assert kept_as is not None and labels(kept_as) == 10


def test_what_is_no_backup_is_never_restored(store: Path, tmp_path: Path) -> None:
    """A file of something else in the store's place is a server that does not start."""
    text, empty = tmp_path / "notes.txt", tmp_path / "empty.db"
    text.write_text("not a database, but long enough to look at" * 100)
    sqlite3.connect(empty).close()
    for source in (text, empty, tmp_path / "missing.db"):
        with pytest.raises(MaintenanceRefused):
            maintenance.restore(source, store, "20260211")
    assert labels(store) == 2000


def test_nothing_is_replaced_while_a_server_runs(tmp_path: Path) -> None:
    """The server would go on writing into the file that was moved away."""
    lock = tmp_path / "node.lock"
    with (
        server_stopped(lock),
        pytest.raises(MaintenanceRefused, match="stop it first"),
        server_stopped(lock),
    ):
        pass
    with server_stopped(lock):
        pass


def test_a_sound_store_has_no_problems(store: Path) -> None:
    """A check that cries wolf is not run again."""
    assert maintenance.check(store) == []


def test_a_damaged_page_is_found_and_the_rest_is_saved(store: Path) -> None:
    """A disk that loses one page must not cost every key."""
    content = bytearray(store.read_bytes())
    page = 4096
    middle = (len(content) // page // 2) * page
    content[middle : middle + page] = b"\xff" * page
    store.write_bytes(content)
    assert maintenance.check(store) != []
    repaired = maintenance.repair(store, "20260211")
    assert maintenance.check(store) == []
    assert 1500 < labels(store) == repaired.rows["api_key"] < 2000
    assert "api_key" in repaired.lost
    assert repaired.kept_as.read_bytes() == bytes(content)


def test_a_table_that_is_stored_by_its_key_is_repaired_too(store: Path) -> None:
    """Rollups have no row numbers, and may reach back beyond the rows that they were made of."""
    with contextlib.closing(sqlite3.connect(store)) as connection:
        connection.execute("CREATE TABLE by_key (b TEXT, a INT, PRIMARY KEY (a, b)) WITHOUT ROWID")
        connection.executemany("INSERT INTO by_key VALUES ('x', ?)", [(n,) for n in range(9)])
        connection.commit()
    repaired = maintenance.repair(store, "20260211")
    assert repaired.rows["by_key"] == 9 and not repaired.lost


def test_a_file_without_anything_readable_is_left_as_it_is(tmp_path: Path) -> None:
    """Someone else may still be able to save it."""
    store = tmp_path / "tallygate.db"
    store.write_bytes(b"\x00garbage" * 4096)
    with pytest.raises(MaintenanceRefused, match="restore a backup"):
        maintenance.repair(store, "20260211")
    assert store.read_bytes() == b"\x00garbage" * 4096
    assert [path.name for path in tmp_path.iterdir()] == ["tallygate.db"]
