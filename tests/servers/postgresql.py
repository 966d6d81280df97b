"""A real PostgreSQL for tests, from the pgserver wheel; also as root, also shared by processes.

As root the server runs as a user of its own, and pytest takes the right to enter its temporary
folders from everyone else whenever another run starts: the server needs a folder elsewhere.
"""

import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pgserver


class Server:
    """One server for a test run. pgserver counts the processes; the last one stops and deletes."""

    def __init__(self, run: str) -> None:
        self.folder = Path(tempfile.gettempdir()) / f"tallygate-postgresql-{run}"
        self._server = pgserver.get_server(self.folder, cleanup_mode="delete")
        for setting in ("fsync = off", "synchronous_commit = off"):
            self._server.psql(f"ALTER SYSTEM SET {setting}")
        self._server.psql("SELECT pg_reload_conf()")

    def url(self, database: str) -> str:
        parts = urlsplit(self._server.get_uri())
        return urlunsplit(parts._replace(path=f"/{database}"))

    @property
    def pid(self) -> int:
        """The process that all others of the server are children of."""
        return int((self.folder / "postmaster.pid").read_text().split()[0])

    def create_database(self, name: str) -> None:
        self._server.psql(f'CREATE DATABASE "{name}"')

    def drop_database(self, name: str) -> None:
        self._server.psql(f'DROP DATABASE "{name}" WITH (FORCE)')
