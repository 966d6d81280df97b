"""The store's rules for credentials in memory, for thousands of histories in a minute.

tests/store/test_credentials.py holds the real store to the same rules. A keeper that is killed is a
book that never answers again.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from tallygate.core.credential import LIVING, SIGNALS, Outcome, Signal, State, after
from tallygate.store.credential_checks import Choice, Claim, Held, Result, Selection
from tallygate.store.keeper_runs import AHEAD_MS_MAX, DEAD_MS, Pulse, Run


@dataclass
class Row:
    id: int
    kind: str
    variables: str
    parts: dict[str, str]
    state: State = State.FRESH
    version: int = 1
    run_id: int | None = None
    claimed_ms: int = -1
    checked_ms: int = -1
    expires_ms: int | None = None
    history: list[State] = field(default_factory=list)


@dataclass
class ModelStore:
    """`steps`: when its clock was set, and by how much; keepers have no other one."""

    steps: list[tuple[float, int]] = field(default_factory=list)
    rows: dict[int, Row] = field(default_factory=dict)
    runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    hosts: dict[str, int] = field(default_factory=dict)

    def now_ms(self) -> int:
        now_s = asyncio.get_running_loop().time()
        return int(now_s * 1000) + sum(by_ms for at_s, by_ms in self.steps if at_s <= now_s)


class ModelBook:
    def __init__(self, store: ModelStore, latency_s: float = 0.002) -> None:
        self.store = store
        self.is_killed = False
        self._latency_s = latency_s
        self._ahead_ms: int | None = None

    async def _reach(self) -> int:
        await asyncio.sleep(self._latency_s)
        if self.is_killed:
            await asyncio.Event().wait()
        return await self.now_ms()

    async def now_ms(self) -> int:
        """As StoreBook keeps it: a clock that is set back is not followed."""
        own_ms = int(asyncio.get_running_loop().time() * 1000)
        ahead_ms = self.store.now_ms() - own_ms
        if self._ahead_ms is None or ahead_ms > self._ahead_ms:
            self._ahead_ms = ahead_ms
        return own_ms + self._ahead_ms

    async def open(self, selection: str, window_ms: int) -> Run:
        now_ms = await self._reach()
        since = [
            run["since_ms"]
            for run in self.store.runs.values()
            if run["name"] == selection
            and not run["done"]
            and now_ms - window_ms < run["since_ms"] < now_ms + DEAD_MS
        ]
        run_id = len(self.store.runs) + 1
        since_ms = max(since, default=now_ms)
        self.store.runs[run_id] = {
            "name": selection,
            "since_ms": since_ms,
            "alive_ms": now_ms,
            "done": False,
        }
        return Run(id=run_id, since_ms=since_ms, is_joined=bool(since))

    async def beat(self, run: Run) -> None:
        now_ms = await self._reach()
        mine = self.store.runs[run.id]
        mine["alive_ms"] = max(mine["alive_ms"] + 1, now_ms)
        mine["done"] = False

    async def pulse(self, credential_id: int) -> Pulse | None:
        await self._reach()
        run_id = self.store.rows[credential_id].run_id
        if run_id is None or self.store.runs[run_id]["done"]:
            return None
        return Pulse(run_id, self.store.runs[run_id]["alive_ms"])

    async def give_up(self, pulse: Pulse) -> None:
        await self._reach()
        held = self.store.runs[pulse.run_id]
        held["done"] |= held["alive_ms"] == pulse.alive_ms

    async def close(self, run: Run, selection: str, totals: dict[str, int]) -> None:
        now_ms = await self._reach()
        self.store.runs[run.id]["done"] = True
        for other in self.store.runs.values():
            if other["name"] == selection and other["alive_ms"] <= now_ms - DEAD_MS:
                other["done"] = True

    async def choose(self, run: Run, wanted: Selection) -> list[Choice]:
        now_ms = await self._reach()
        chosen = [
            row
            for row in self.store.rows.values()
            if row.state in LIVING and not run.since_ms <= row.checked_ms < now_ms + DEAD_MS
        ]
        return [
            Choice(
                id=row.id,
                kind=row.kind,
                name=str(row.id),
                user="",
                variables=row.variables,
                last_used_ms=None,
            )
            for row in chosen
        ]

    async def reserve(self, host: str, gap_ms: int) -> float:
        now_ms = await self._reach()
        at_ms = self.store.hosts.get(host, 0)
        if not now_ms <= at_ms <= now_ms + AHEAD_MS_MAX:
            at_ms = now_ms
        self.store.hosts[host] = at_ms + gap_ms
        return (at_ms - now_ms) / 1000

    async def claim(self, run: Run, credential_id: int) -> Claim | Held:
        now_ms = await self._reach()
        row = self.store.rows[credential_id]
        if row.state not in LIVING:
            return Held.GONE
        if run.since_ms <= row.checked_ms < now_ms + DEAD_MS:
            return Held.DONE
        if row.run_id not in (None, run.id):
            if not self.store.runs[row.run_id or 0]["done"]:
                return Held.BUSY
            if run.since_ms <= row.claimed_ms < now_ms + DEAD_MS:
                return Held.INTERRUPTED
        if row.state is State.CHECKING:
            row.state = after(row.state, Signal.LET_GO)
        row.state = after(row.state, Signal.CLAIMED)
        row.run_id, row.claimed_ms = run.id, now_ms
        return Claim(
            id=row.id,
            kind=row.kind,
            variables={"base_url": "http://h", "token_url": "http://h"},
            sealed=repr(row.parts).encode(),
            version=row.version,
            expires_ms=row.expires_ms,
        )

    async def finish(self, run: Run, result: Result) -> State | None:
        now_ms = await self._reach()
        row = self.store.rows[result.id]
        is_mine = row.run_id == run.id and row.state is State.CHECKING
        if row.version != result.version or not (is_mine or result.parts is not None):
            return None
        signal = SIGNALS[result.outcome] if result.outcome else Signal.LET_GO
        row.state, row.run_id = after(State.CHECKING, signal), None
        row.history.append(row.state)
        if result.outcome is not None:
            row.checked_ms = now_ms
        if result.parts is not None:
            row.parts, row.version = result.parts, row.version + 1
            row.expires_ms = result.expires_ms
        assert result.outcome is not Outcome.INVALID or row.state is State.QUARANTINED
        return row.state

    def unseal(self, claim: Claim) -> dict[str, str]:
        return dict(eval(claim.sealed.decode()))  # the model's own words
