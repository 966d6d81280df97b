"""A real PostgreSQL for tests, from the pgserver wheel; also as root, also shared by processes."""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pgserver


class Server:
    """One running server. pgserver counts the processes that use it; the last one stops it."""

    def __init__(self, folder: Path) -> None:
        self._server = pgserver.get_server(folder / "postgresql")
        for setting in ("fsync = off", "synchronous_commit = off", "max_connections = 200"):
            self._server.psql(f"ALTER SYSTEM SET {setting}")
        self._server.psql("SELECT pg_reload_conf()")

    def url(self, database: str) -> str:
        parts = urlsplit(self._server.get_uri())
        return urlunsplit(parts._replace(path=f"/{database}"))

    def create_database(self, name: str) -> None:
        self._server.psql(f'CREATE DATABASE "{name}"')

    def drop_database(self, name: str) -> None:
        self._server.psql(f'DROP DATABASE "{name}" WITH (FORCE)')
