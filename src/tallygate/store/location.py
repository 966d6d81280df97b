"""Where the store lies, and which old file it takes over at its first start."""

from dataclasses import dataclass
from pathlib import Path

from tallygate.store.quota_proxy_file import holds_trial_keys

STORE_FILE = "tallygate.db"
TAKEN_OVER_SUFFIX = ".tallygate.db"


@dataclass(frozen=True, slots=True)
class Location:
    """`path` None: the store is a PostgreSQL. `takes_over`: a file of the seed's server."""

    url: str
    path: Path | None
    takes_over: Path | None = None

    def __repr__(self) -> str:
        return f"<Location {self.name}>"  # a PostgreSQL's URL holds a password

    @property
    def name(self) -> str:
        """What may be shown of it."""
        return str(self.path) if self.path else "the PostgreSQL of DATABASE_URL"


def locate(data: Path, database_url: str | None, sqlite_db_path: Path | None) -> Location:
    """DATABASE_URL first, then SQLITE_DB_PATH, then the data folder.

    SQLITE_DB_PATH may name the old server's own file: then the store lies beside it, and the old
    file is only ever read.
    """
    old = sqlite_db_path if sqlite_db_path and holds_trial_keys(sqlite_db_path) else None
    if database_url:
        return Location(database_url, None, old)
    path = data / STORE_FILE
    if sqlite_db_path is not None:
        path = sqlite_db_path
        if old is not None:
            path = old.with_name(old.stem + TAKEN_OVER_SUFFIX)
    path = path.absolute()
    return Location(f"sqlite:///{path}", path, old)
