"""How long `tallygate ledger verify` takes over very many charges, as an operator runs it.

The store is filled by bare bulk inserts, with a charge and its entry each, over a thousand wallets;
the check must then find no difference, and it must find the one that is made afterwards.
"""

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.load.gate import ENTRY
from bench.load.options import Options
from bench.load.processes import BenchFailed
from tallygate.core.pricing import Currency, Price, Rate, cost
from tallygate.core.usage import INPUT_TOKENS, OUTPUT_TOKENS
from tallygate.store.database import Database
from tallygate.store.migrations import migrate
from tallygate.store.money_schema import charge, ledger_entry

WALLETS = 1000
NOW_MS = 1_770_800_000_000
OPENING_MICROS = 10**15
# Ids that the catalogue's prices, which a first start brings, are far from.
PRICE = Price(900_001, "bench", Currency.USD, 1000, 30_000_000, 60_000_000, None, None, 0, True, 0)
RATE = Rate(900_001, 10_000_000_000)


def measure(options: Options, folder: Path) -> dict[str, Any]:
    path = folder / "tallygate.db"
    started_s = time.monotonic()
    fill(path, options.charges)
    filled_s = time.monotonic() - started_s
    started_s = time.monotonic()
    said = _verify(folder, 0)
    verified_s = time.monotonic() - started_s
    with sqlite3.connect(path) as store:
        store.execute("UPDATE charge SET micros = micros + 1 WHERE id = ?", (options.charges // 2,))
    _verify(folder, 1)
    return {
        "charges": options.charges,
        "filled_s": round(filled_s, 1),
        "verified_s": round(verified_s, 1),
        "said": said,
        "store_mb": path.stat().st_size >> 20,
    }


async def _make_store(path: Path) -> None:
    database = Database(f"sqlite:///{path}")
    await database.open()
    await migrate(database)
    await database.close()


def fill(path: Path, charges: int) -> None:
    """A store with so many charges and an entry for each."""
    asyncio.run(_make_store(path))
    with sqlite3.connect(path) as store:
        store.execute("PRAGMA synchronous = OFF")
        _insert(store, "account", _accounts())
        _insert(store, "price", iter([_price()]))
        _insert(store, "rate", iter([_rate()]))
        spent = [0] * WALLETS
        _insert(
            store, "ledger_entry", (_entry(at, None, OPENING_MICROS, 0) for at in range(WALLETS))
        )
        _insert(store, "charge", (_charge(number, spent) for number in range(1, charges + 1)))
        spent = [0] * WALLETS
        _insert(store, "ledger_entry", _entries(charges, spent))
        _insert(store, "wallet", _wallets(spent))
    store.close()


Row = dict[str, object]


def _insert(store: sqlite3.Connection, table: str, rows: Iterator[Row]) -> None:
    first = next(rows)
    names = ", ".join(f'"{name}"' for name in first)
    marks = ", ".join("?" * len(first))
    sql = f'INSERT INTO "{table}" ({names}) VALUES ({marks})'
    store.execute(sql, tuple(first.values()))
    store.executemany(sql, (tuple(row.values()) for row in rows))


def _accounts() -> Iterator[Row]:
    for at in range(WALLETS):
        name = f"user-{at}"
        yield {"id": name, "name": name, "role": "member", "is_active": 1, "created_ms": NOW_MS}


def _wallets(spent: list[int]) -> Iterator[Row]:
    zeros = dict.fromkeys(("held_micros", "leased_micros", "granted_micros", "floor_micros"), 0)
    for at in range(WALLETS):
        balance = {"balance_micros": OPENING_MICROS - spent[at], **zeros}
        yield {"id": at + 1, "account_id": f"user-{at}", **balance, "created_ms": NOW_MS}


def _price() -> Row:
    row: Row = {name: getattr(PRICE, name) for name in PRICE.__struct_fields__}
    said = {"created_ms": NOW_MS, "actor": "bench", "reason": "", "source": "bench"}
    return {**row, "currency": PRICE.currency.value, **said}


def _rate() -> Row:
    said = {"created_ms": NOW_MS, "actor": "bench", "reason": ""}
    return {"id": RATE.id, "micros_per_usd": RATE.micros_per_usd, **said}


def _counts(number: int) -> dict[str, int]:
    return {INPUT_TOKENS: 100 + number * 37 % 4000, OUTPUT_TOKENS: number * 101 % 2000}


_COLUMNS = tuple(column.name for column in charge.columns if column.name != "tenant_id")
_TEXTS = ("instance", "request_id", "conversation_id")


def _charge(number: int, spent: list[int]) -> Row:
    counts, at = _counts(number), number % WALLETS
    paid = cost(counts, PRICE, RATE)
    spent[at] += paid.micros
    known: Row = {
        **dict.fromkeys(_TEXTS, ""),
        "id": number,
        "account_id": f"user-{at}",
        "wallet_id": at + 1,
        "state": "charged",
        "source": "webhook",
        "model": PRICE.model,
        "price_id": PRICE.id,
        "rate_id": RATE.id,
        **counts,
        "micros": paid.micros,
        "output_micros": paid.output_micros,
        "balance_micros": OPENING_MICROS - spent[at],
        "message_id": f"message-{number}",
        "parts": None,
        "reports": None,
        "event_ms": NOW_MS + number,
        "at_ms": NOW_MS + number,
    }
    return {name: known.get(name, 0) for name in _COLUMNS}


def _entries(charges: int, spent: list[int]) -> Iterator[Row]:
    for number in range(1, charges + 1):
        micros, at = cost(_counts(number), PRICE, RATE).micros, number % WALLETS
        spent[at] += micros
        yield _entry(at, number, -micros, spent[at])


_ENTRY_COLUMNS = tuple(
    column.name for column in ledger_entry.columns if column.name not in ("id", "tenant_id")
)


def _entry(at: int, charge_id: int | None, amount_micros: int, spent_micros: int) -> Row:
    known: Row = {
        "wallet_id": at + 1,
        "kind": "top_up" if charge_id is None else "charge",
        "amount_micros": amount_micros,
        "held_micros": 0,
        "balance_micros": OPENING_MICROS - spent_micros,
        "charge_id": charge_id,
        "grant_id": None,
        "hold_id": None,
        "reason": "",
        "actor": "",
        "at_ms": NOW_MS,
    }
    return {name: known[name] for name in _ENTRY_COLUMNS}


def _verify(folder: Path, status: int) -> str:
    command = [sys.executable, "-c", ENTRY, "ledger", "verify", "--data", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, env=_environ())
    if run.returncode != status:
        raise BenchFailed(
            f"ledger verify ended with {run.returncode}: {run.stdout[:500]}{run.stderr}"
        )
    return run.stderr.strip()


def _environ() -> dict[str, str]:
    names = ("DATABASE_URL", "SQLITE_DB_PATH")
    return {name: value for name, value in os.environ.items() if name not in names}
