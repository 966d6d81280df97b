"""What every test shares: async tests run on asyncio, as the product does; a store of each kind."""

import logging
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from tallygate.store.database import Database
from tallygate.store.migrations import migrate
from tests.servers.postgresql import Server

# How long an example takes is the machine's affair: a timing is never asserted.
hypothesis.settings.register_profile(
    "tallygate", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tallygate")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no process of two is left alone with them at the end."""
    longest = ("tests/web/", "tests/system/")
    items.sort(key=lambda item: not item.nodeid.startswith(longest))
    items.sort(key=lambda item: not item.nodeid.startswith(longest[0]))


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Commands set up the logs of their process, which here is everyone's.

    A traceback is written plainly: with all that is around it one takes many seconds.
    """
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgresql_server() -> Server:
    """One server for the whole run; with xdist the workers share it."""
    return Server(os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex)


@pytest.fixture
def postgresql_url(postgresql_server: Server) -> Iterator[str]:
    """A database of its own, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    postgresql_server.create_database(name)
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store, once for each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tallygate.db"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Database]:
    """A migrated store, once for each kind."""
    db = Database(store_url)
    await db.open()
    await migrate(db)
    yield db
    await db.close()
