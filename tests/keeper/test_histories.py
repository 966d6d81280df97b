"""Ten thousand bad days: keepers that race and die, upstreams that lie, and nothing healthy lost.

Each history is made by its seed, which a failure prints: several keepers over the same
credentials, at upstreams that answer, fail, hang, break off, or rotate single-use tokens; some
keepers are killed in the middle, the store's clock is set now and then, another keeper is started
later. `TALLYGATE_KEEPER_HISTORIES=10000` runs all of them.
"""

import asyncio
import itertools
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tallygate.core.credential import Answer, NoAnswer, State
from tallygate.core.credential_exchange import Request
from tallygate.keeper.run import Listener, Report, Tally, Wanted, run_once
from tallygate.kinds import load
from tallygate.store.credential_checks import Choice, Selection
from tallygate.store.keeper_runs import Run
from tests.keeper.model import ModelBook, ModelStore, Row
from tests.keeper.virtual import run

KINDS = load(Path("nowhere"))
WANTED = Wanted(Selection(), "all")
HOUR_MS = 3_600_000
HISTORIES = int(os.environ.get("TALLYGATE_KEEPER_HISTORIES", "400"))
PORTION = 200


@dataclass
class World:
    """What is really so: which tokens are good, whatever the network makes of it."""

    luck: random.Random
    good: set[str] = field(default_factory=set)
    single_use: set[str] = field(default_factory=set)
    made: int = 0
    spent: Counter[str] = field(default_factory=Counter)
    asked: dict[str, list[float]] = field(default_factory=dict)
    asked_for: Counter[str] = field(default_factory=Counter)
    trouble: float = 0.4

    async def answer(self, request: Request) -> Answer | NoAnswer:
        loop, luck = asyncio.get_running_loop(), self.luck
        self.asked.setdefault(request.url.split("/")[2], []).append(loop.time())
        if luck.random() < self.trouble / 4:
            return NoAnswer("no connection", may_have_acted=False)
        await asyncio.sleep(luck.choice([0.01, 0.2, 3.0]))
        if luck.random() < self.trouble / 4:
            return Answer(503, b'{"msg":"invalid access_token"}')
        said = self._acted(dict(request.query), dict(request.form))
        trouble = luck.random()
        if trouble < self.trouble / 4:
            await asyncio.sleep(7)
            return NoAnswer("no answer within 10 s", may_have_acted=True)
        if trouble < self.trouble / 2:
            lies = [NoAnswer("reset", may_have_acted=True), Answer(200, b"{no"), Answer(302, b"")]
            if not request.form:  # who says that it failed has not acted
                lies += [
                    Answer(429, b'{"msg":"invalid access_token"}', 5.0),
                    Answer(500, b"<html>"),
                ]
            return luck.choice(lies)
        return said

    def _acted(self, query: dict[str, str], form: dict[str, str]) -> Answer:
        """What the upstream does, whether its answer arrives or not."""
        if (token := form.get("refresh_token")) is not None:
            self.spent[token] += 1
            self.asked_for[token] += 1
            if token not in self.single_use:
                return Answer(400, b'{"error":"invalid_grant"}')
            self.single_use.discard(token)
            self.made += 1
            new = f"r{self.made}"
            self.single_use.add(new)
            body = f'{{"access_token":"a{self.made}","refresh_token":"{new}","expires_in":60}}'
            return Answer(200, body.encode())
        token = query["access_token"]
        self.asked_for[token] += 1
        if token in self.good:
            return Answer(200, b'{"code":0}')
        return self.luck.choice([Answer(401, b""), Answer(200, b'{"msg":"invalid access_token"}')])


class Sender:
    """One keeper's way out; a killed keeper sends nothing more."""

    def __init__(self, world: World, book: ModelBook) -> None:
        self._world = world
        self._book = book

    async def send(self, request: Request) -> Answer | NoAnswer:
        if self._book.is_killed:
            await asyncio.Event().wait()
        return await self._world.answer(request)


class Ears(Listener):
    def __init__(self) -> None:
        self.chosen: list[Choice] = []
        self.reports: list[Report] = []

    def begins(self, run: Run, choices: list[Choice]) -> None:
        self.chosen = choices

    def ended(self, number: int, total: int, report: Report) -> None:
        self.reports.append(report)


def settle(luck: random.Random) -> tuple[World, ModelStore]:
    world, store = World(luck), ModelStore()
    world.trouble = luck.choice([0.0, 0.3, 0.9])
    for credential_id in range(1, luck.randint(2, 9)):
        host = f"h{luck.randint(1, 3)}"
        is_renewed = luck.random() < 0.3
        token = f"t{credential_id}"
        if luck.random() < 0.7:
            (world.single_use if is_renewed else world.good).add(token)
        kind, part, variable = ("baoming", "secret", "base_url")
        if is_renewed:
            kind, part, variable = ("oauth2", "refresh_token", "token_url")
        variables = f'{{"{variable}":"http://{host}"}}'
        store.rows[credential_id] = Row(credential_id, kind, variables, {part: token})
    return world, store


async def keep(
    world: World, store: ModelStore, ears: Ears, dies_s: float | None, late_s: float
) -> Tally | None:
    await asyncio.sleep(late_s)
    book, faults = ModelBook(store), []
    work = asyncio.ensure_future(
        run_once(
            book,
            KINDS,
            Sender(world, book),
            WANTED,
            ears,
            jitter=world.luck.random,
            concurrency=world.luck.choice([1, 2, 50]),
            on_failure=lambda name, error: faults.append(error),
        )
    )
    await asyncio.wait([work], timeout=dies_s)
    if not work.done():
        book.is_killed = True
        work.cancel()
        await asyncio.wait([work])
        return None
    assert not faults, faults
    return work.result()


async def one_history(seed: int) -> None:
    luck = random.Random(seed)
    world, store = settle(luck)
    start = dict(store.rows)
    tokens = {row.id: next(iter(row.parts.values())) for row in start.values()}
    healthy = {row.id for row in start.values() if tokens[row.id] in world.good | world.single_use}
    first_dies = luck.choice([None, luck.uniform(0, 12)])
    if luck.random() < 0.3:  # the store's clock is set while they work, or between them
        hours = luck.choice([-30, -5, -0.01, 0.01, 5, 24 * 40])
        at_s = asyncio.get_running_loop().time() + luck.uniform(0, 20)
        store.steps.append((at_s, int(hours * HOUR_MS)))
    ears = [Ears(), Ears(), Ears()]
    await asyncio.gather(
        keep(world, store, ears[0], first_dies, 0.0),
        keep(world, store, ears[1], luck.choice([None, luck.uniform(0, 12)]), luck.uniform(0, 9)),
    )
    check_politeness(world, store)
    check_windows(world, store)
    check_the_healthy(world, store, healthy)
    world.trouble = 0.0
    await asyncio.sleep(4000)  # the next window
    tally = await keep(world, store, ears[2], None, 0.0)
    assert tally is not None
    assert sum(tally.ends.values()) == tally.total == len(ears[2].chosen)
    check_politeness(world, store)
    check_the_healthy(world, store, healthy)
    for row in store.rows.values():
        is_dead = next(iter(row.parts.values())) not in world.good | world.single_use
        if is_dead and "access_token" not in row.parts:
            assert row.state is State.QUARANTINED, "a good day finds every dead one"


def check_politeness(world: World, store: ModelStore) -> None:
    """Keepers that began before and after a clock was set do not agree on a moment."""
    if store.steps:
        return
    for moments in world.asked.values():
        gaps = [later - sooner for sooner, later in itertools.pairwise(moments)]
        assert all(gap >= 0.999 for gap in gaps), min(gaps)


def check_windows(world: World, store: ModelStore) -> None:
    """Whoever joined, died or raced: in one window a token is spent once, and a probe is tried
    three times by one keeper only."""
    windows = len({run["since_ms"] for run in store.runs.values()})
    assert max(world.spent.values(), default=0) <= windows
    assert max(world.asked_for.values(), default=0) <= 3 * windows


def check_the_healthy(world: World, store: ModelStore, healthy: set[int]) -> None:
    """Only an upstream's own word, about the secret that is kept, ends a credential."""
    for row in store.rows.values():
        if row.state is State.QUARANTINED and row.id in healthy:
            token = next(iter(row.parts.values()))
            # It was spent by a request whose answer never came: the upstream really killed it.
            assert row.kind == "oauth2" and token not in world.single_use
            assert world.spent[token] > 1


@pytest.mark.parametrize("start", range(0, HISTORIES, PORTION))
def test_no_healthy_credential_is_ever_given_up(start: int) -> None:
    """Some in each run of the tests; ten thousand, in a few minutes, when they are asked for."""
    for seed in range(start, min(start + PORTION, HISTORIES)):
        replay(seed)


def replay(seed: int) -> None:
    try:
        run(one_history(seed))
    except BaseException:
        print(f"seed {seed}")
        raise
