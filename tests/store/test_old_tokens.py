"""Taking over a token manager's PostgreSQL, made like the seed's, into both kinds of store."""

import asyncio
import datetime
import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from tallygate.cli import main
from tallygate.core.keys import hash_key
from tallygate.store import keys, routes, teams, tokens
from tallygate.store.database import Database
from tallygate.store.old_token_database import NotATokenDatabase, opened
from tests.servers.postgresql import Server

OLD_TOKEN = "ntk_an-old-one-that-was-made-elsewhere"
OLD_HASH = hashlib.sha256(OLD_TOKEN.encode()).hexdigest()
LOOKS_LIKE_OURS = "ntk_" + "a" * 36  # with check digits that are none
SEED = """
    CREATE TABLE teams (id SERIAL PRIMARY KEY, name VARCHAR(255) NOT NULL,
        created_at TIMESTAMP DEFAULT NOW());
    CREATE TABLE tokens (id SERIAL PRIMARY KEY, name VARCHAR(255) NOT NULL, team_id INTEGER,
        token_hash VARCHAR(64) NOT NULL UNIQUE, scopes JSONB, is_active BOOLEAN DEFAULT TRUE,
        created_at TIMESTAMP NOT NULL DEFAULT NOW(), expires_at TIMESTAMP, last_used TIMESTAMP);
    CREATE TABLE routes (id SERIAL PRIMARY KEY, path VARCHAR(255), backend_url TEXT,
        required_scope TEXT, methods TEXT[]);
    CREATE TABLE token_usage_logs (id SERIAL PRIMARY KEY, token_hash VARCHAR(64) NOT NULL,
        route_path VARCHAR(255), used_at TIMESTAMP NOT NULL DEFAULT NOW(),
        ip_address VARCHAR(45), user_agent TEXT, response_status INTEGER,
        response_time_ms INTEGER);
"""


def sql(url: str, *statements: str) -> list[Any]:
    """Run statements; the rows of the last one."""

    async def run() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return [tuple(row) for row in await connection.fetch(statements[-1])]
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.fixture
def old_url(postgresql_server: Server) -> Iterator[str]:
    name = f"old_{uuid.uuid4().hex}"
    postgresql_server.create_database(name)
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture
def seed_url(old_url: str) -> str:
    like_ours = hashlib.sha256(LOOKS_LIKE_OURS.encode()).hexdigest()
    sql(
        old_url,
        SEED,
        "INSERT INTO teams (id, name) VALUES (7, 'Automation')",
        f"""INSERT INTO tokens (name, team_id, token_hash, scopes, is_active, created_at, last_used)
            VALUES ('Test Token', 7, '{OLD_HASH.upper()}', '["api:read"]', true,
                    '2025-11-05 08:00:00', '2025-11-06 09:30:00'),
                ('off', NULL, '{like_ours}', NULL, false, '2025-11-05', NULL),
                ('bcrypt', NULL, '$2b$12$abcdefghijklmnopq', NULL, true, '2025-11-05', NULL)""",
        """INSERT INTO routes (path, backend_url, required_scope, methods) VALUES
            ('/api/test/', 'http://10.0.0.7:9000', 'api:read', '{GET,POST}'),
            ('/api/tokens', 'http://10.0.0.7:9000', NULL, NULL),
            ('/api/cloud', 'http://169.254.169.254', NULL, NULL)""",
        f"""INSERT INTO token_usage_logs
            (token_hash, route_path, used_at, ip_address, user_agent, response_status,
             response_time_ms)
            SELECT '{OLD_HASH}', '/api/test', timestamp '2025-11-06 08:00:00' + n * interval '1 s',
                '192.0.2.7', 'n8n', 200, 12 FROM generate_series(1, 4500) n""",
        f"""INSERT INTO token_usage_logs (token_hash, route_path, used_at)
            VALUES ('{"0" * 64}', '/api/test', now())""",
        "SELECT 1",
    )
    return old_url


class Shell:
    """The command line over a store of one kind."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data = data
        self._capsys = capsys

    def take_over(self, url: str, *more: str) -> Any:
        with pytest.raises(SystemExit) as ended:
            main(["import", "token-manager", url, "--json", *more, "--data", str(self.data)])
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        return json.loads(said.out) if not ended.value.code else said.err


@pytest.fixture
def shell(
    store_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    for name in ("SQLITE_DB_PATH", "ADMIN_TOKEN", "DEEPSEEK_API_KEY", "PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", store_url if store_url.startswith("postgres") else "")
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path / "data", capsys)


def in_store(shell: Shell, store_url: str, ask: Any) -> Any:
    url = store_url
    if url.startswith("sqlite"):
        url = f"sqlite:///{shell.data}/tallygate.db"

    async def run() -> Any:
        db = Database(url)
        await db.open(may_create=False)
        try:
            async with db.reading() as tx:
                return await ask(tx)
        finally:
            await db.close()

    return asyncio.run(run())


def test_old_tokens_work_unchanged_and_everything_is_there_once(
    shell: Shell, store_url: str, seed_url: str
) -> None:
    """Whoever switches hands out no new token, and may repeat the import until the day."""
    tried = shell.take_over(seed_url, "--dry-run")
    done = shell.take_over(seed_url)
    assert {**tried, "dry_run": False} == done
    assert (done["tokens"], done["teams"], done["routes"], done["uses"]) == (2, 1, 1, 4500)
    skipped = done["skipped"]
    assert skipped["a hash that is no SHA-256 in hexadecimal digits"] == 1
    assert skipped["a use of a token that is not there"] == 1
    assert any("/api/tokens" in reason for reason in skipped)
    assert any("/api/cloud" in reason for reason in skipped)

    async def look(tx: Any) -> Any:
        key = await keys.find_by_hash(tx, hash_key(OLD_TOKEN.encode()), 0)
        listed, _ = await tokens.page(tx, tokens.Query("-last_used"))
        found, _ = await routes.page(tx, limit=10)
        return key, listed, found, await teams.find(tx, "7")

    key, listed, found, team = in_store(shell, store_url, look)
    assert (key.kind, key.scopes, key.team_id, key.models) == ("ntk", ("api:read",), "7", ())
    assert [view.label for view in listed] == ["Test Token", "off"]
    assert listed[0].last_used_ms == ms(2025, 11, 6, 9, 30)
    assert listed[0].created_ms == ms(2025, 11, 5, 8)
    assert not listed[1].is_active
    assert [(one.path, one.scope, one.methods) for one in found] == [
        ("/api/test", "api:read", ["GET", "POST"])
    ]
    assert team.name == "Automation"

    again = shell.take_over(seed_url)
    assert (again["tokens"], again["teams"], again["routes"], again["uses"]) == (0, 0, 0, 0)
    assert again["known"] == 1 + 2 + 1 + 4501
    later = f"INSERT INTO token_usage_logs (token_hash, route_path) VALUES ('{OLD_HASH}', '/x')"
    sql(seed_url, later, "SELECT 1")
    assert shell.take_over(seed_url)["uses"] == 1


def ms(*moment: int) -> int:
    year, month, day, *rest = moment
    return int(datetime.datetime(year, month, day, *rest, tzinfo=datetime.UTC).timestamp() * 1000)


def test_a_token_that_was_deleted_here_does_not_come_back(
    shell: Shell, store_url: str, seed_url: str
) -> None:
    shell.take_over(seed_url)
    with pytest.raises(SystemExit):
        main(["tokens", "revoke", OLD_TOKEN, "--data", str(shell.data)])
    shell._capsys.readouterr()
    assert shell.take_over(seed_url)["tokens"] == 0
    gone = in_store(
        shell, store_url, lambda tx: keys.find_by_hash(tx, hash_key(OLD_TOKEN.encode()), 0)
    )
    assert gone is None


def test_the_least_that_a_token_manager_had_is_enough(shell: Shell, old_url: str) -> None:
    """Its first version knew a name, a team and a hash, and when it was last used."""
    sql(
        old_url,
        "CREATE TABLE tokens (name TEXT, team_id TEXT, token_hash TEXT, last_used TIMESTAMPTZ)",
        f"INSERT INTO tokens VALUES ('a', 'blue', '{OLD_HASH}', now())",
        "SELECT 1",
    )
    done = shell.take_over(old_url)
    assert (done["tokens"], done["uses"], done["skipped"]) == (1, 0, {})


def test_another_database_is_refused_and_its_password_not_said(shell: Shell, old_url: str) -> None:
    for url in (old_url, "postgresql://u:s3cret@127.0.0.1:1/none", "mysql://u:s3cret@b/x"):
        said = shell.take_over(url)
        assert isinstance(said, str)
        assert len(said.strip().splitlines()) == 1
        assert "s3cret" not in said
    assert not shell.data.exists()


def test_the_seeds_questions_are_answered_in_its_own_words(
    postgresql_url: str, seed_url: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old SQL and old dashboards go on working, on PostgreSQL with our schema in their path."""
    monkeypatch.setenv("DATABASE_URL", postgresql_url)
    shell.take_over(seed_url)
    path = "SET search_path TO tallygate"
    recent = """SELECT name, team_id, last_used FROM tokens WHERE last_used IS NOT NULL
        ORDER BY last_used DESC LIMIT 10"""
    assert [row[:2] for row in sql(postgresql_url, path, recent)] == [("Test Token", "7")]
    never = "SELECT name, team_id, created_at FROM tokens WHERE last_used IS NULL"
    assert [row[0] for row in sql(postgresql_url, path, never)] == ["off"]
    idle = """SELECT name FROM tokens WHERE last_used < NOW() - INTERVAL '30 days'"""
    assert sql(postgresql_url, path, idle) == [("Test Token",)]
    hours = """SELECT DATE_TRUNC('hour', used_at) AS hour, COUNT(*) FROM token_usage_logs
        WHERE used_at >= timestamp '2025-11-06' GROUP BY hour ORDER BY hour"""
    assert [row[1] for row in sql(postgresql_url, path, "SET TIME ZONE 'UTC'", hours)] == [
        3599,
        901,
    ]
    most = """SELECT route_path, COUNT(*) AS usage_count FROM token_usage_logs
        GROUP BY route_path ORDER BY usage_count DESC LIMIT 10"""
    assert sql(postgresql_url, path, most) == [("/api/test", 4500)]
    joined = "SELECT count(*) FROM tokens JOIN token_usage_logs USING (token_hash)"
    assert sql(postgresql_url, path, joined) == [(4500,)]


def test_the_views_are_there_on_sqlite_too(shell: Shell, store_url: str, seed_url: str) -> None:
    shell.take_over(seed_url)
    statement = sa.text("SELECT name, token_hash, is_active, last_used FROM tokens ORDER BY id")
    rows = in_store(shell, store_url, lambda tx: _all(tx, statement))
    assert [row[0] for row in rows] == ["Test Token", "off"]
    assert rows[0][1] == OLD_HASH
    assert [bool(row[2]) for row in rows] == [True, False]
    assert str(rows[0][3]).startswith("2025-11-06 09:30:00")


async def _all(tx: Any, statement: Any) -> list[Any]:
    return [tuple(row) for row in await tx.execute(statement)]


def test_the_old_database_is_only_read(seed_url: str) -> None:
    """It may be in use until the last moment."""

    async def run() -> None:
        async with opened(seed_url) as source:
            await source._connection.execute("DELETE FROM tokens")

    with pytest.raises(NotATokenDatabase, match="read-only"):
        asyncio.run(run())


def test_an_error_in_reading_is_said_in_one_sentence(old_url: str) -> None:
    async def run() -> None:
        async with opened(old_url):
            raise AssertionError("there is nothing to open")

    with pytest.raises(NotATokenDatabase):
        asyncio.run(run())
