"""The API over a real SQLite store, called as gateways call it, without a socket between."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2 as httpx
import pytest

from tallygate.control import application, metrics
from tallygate.control.authentication import AdminDoor, GuessBudget
from tallygate.control.console import Console
from tallygate.control.parts import Parts
from tallygate.control.passwords import Cost, Passwords
from tallygate.control.sign_in import SignIn, Throttle
from tallygate.store.database import Database
from tallygate.store.migrations import migrate
from tests.control.clerk import MASTER_KEY, StoreClerk

ADMIN_TOKEN = "the-operators-own-token"


CHEAP = Cost(passes=1, memory_kib=64)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    db = Database(f"sqlite:///{tmp_path}/tallygate.db", system_clock_ms=lambda: 1_770_800_000_000)
    await db.open()
    await migrate(db)
    yield db
    await db.close()


@pytest.fixture
def clerk(db: Database) -> StoreClerk:
    return StoreClerk(db)


@pytest.fixture
def parts(db: Database, clerk: StoreClerk, clock: Clock, tmp_path: Path) -> Parts:
    return Parts(
        database=db,
        clerk=clerk,
        door=AdminDoor(ADMIN_TOKEN, GuessBudget(clock)),
        master_key=MASTER_KEY,
        time_zone="UTC",
        keeps_sealed_keys=True,
        from_settings=None,
        node_name="this-node",
        render_metrics=metrics.renderer(clerk),
        console=Console(tmp_path / "console_files"),  # not built, unless a test writes it
        is_ending=lambda: True,  # no stream of events outlives a test
        sign_in=SignIn(passwords=Passwords(secrets.token_bytes, CHEAP), throttle=Throttle(clock)),
    )


def connect(parts: Parts, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=application.build(parts), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://gate", headers=headers)


@pytest.fixture
async def api(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    """The operator."""
    async with connect(parts, **{"X-Admin-Token": ADMIN_TOKEN}) as client:
        yield client


@pytest.fixture
async def masked_api(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    """The operator of a node that shows no sealed keys."""
    async with connect(
        replace(parts, keeps_sealed_keys=False), **{"X-Admin-Token": ADMIN_TOKEN}
    ) as client:
        yield client


@pytest.fixture
async def stranger(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(parts) as client:
        yield client
