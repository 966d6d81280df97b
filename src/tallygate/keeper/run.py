"""One run: every credential that is due is checked once, hosts side by side, politely.

The run shows that it lives, claims each credential when its host's moment has come, and writes what
it found before it tells it. What another run holds is waited for as long as that one lives.
"""

import asyncio
import enum
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tallygate.core.credential import Outcome, State
from tallygate.core.credential_exchange import Incomplete, host_for
from tallygate.core.credential_kind import BadKind, Kind
from tallygate.keeper.book import Book
from tallygate.keeper.check import Checker, Sender, Turn
from tallygate.keeper.pace import Pace
from tallygate.keeper.watch import Watch
from tallygate.kinds import Kinds
from tallygate.store.credential_checks import Choice, Claim, Held, Result, Selection
from tallygate.store.keeper_runs import Run
from tallygate.tasks import Tasks

BEAT_S: Final = 2.0
LOOK_AGAIN_S: Final = 0.5
RETAKEN: Final = 3  # how often a credential that changes under our eyes is looked at again
HOUR_MS: Final = 3_600_000


class End(enum.StrEnum):
    """How a credential left the run."""

    REFRESHED = "refreshed"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    DELETED = "deleted"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Report:
    """`is_new`: it has a new secret. `attempts`: what each request came to."""

    choice: Choice
    end: End
    reason: str = ""
    is_new: bool = False
    attempts: tuple[str, ...] = ()


@dataclass(slots=True)
class Tally:
    """A run in numbers."""

    total: int = 0
    ends: dict[End, int] = field(default_factory=lambda: dict.fromkeys(End, 0))
    reasons: list[str] = field(default_factory=list)

    def add(self, report: Report) -> None:
        self.ends[report.end] += 1
        if report.end is End.FAILED:
            self.reasons.append(report.reason)

    def totals(self) -> dict[str, int]:
        names = (End.REFRESHED, End.FAILED, End.QUARANTINED, End.DELETED)
        return {"total": self.total, **{end.value: self.ends[end] for end in names}}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which credentials, under which name other runs find it, and how long a window is."""

    selection: Selection
    name: str
    window_ms: int = HOUR_MS


class Listener:
    """Hears how a run goes; each attempt only if it `wants_attempts`."""

    wants_attempts = False

    def begins(self, run: Run, choices: list[Choice]) -> None: ...

    def ended(self, number: int, total: int, report: Report) -> None: ...


async def run_once(
    book: Book,
    kinds: Kinds,
    sender: Sender,
    wanted: Wanted,
    listener: Listener,
    *,
    jitter: Callable[[], float],
    concurrency: int,
    on_failure: Callable[[str, BaseException], None],
) -> Tally:
    run = await book.open(wanted.name, wanted.window_ms)
    tasks = Tasks(on_failure)
    async with _alive(book, run, tasks):
        work = _Work(book, kinds, sender, run, listener, jitter, concurrency, tasks)
        try:
            await work.all(await book.choose(run, wanted.selection))
        finally:
            await tasks.close()
    await book.close(run, wanted.name, work.tally.totals())
    return work.tally


@asynccontextmanager
async def _alive(book: Book, run: Run, tasks: Tasks) -> AsyncIterator[None]:
    """Others see that the run lives for as long as the block lasts."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            await book.beat(run)

    own = Tasks(lambda name, error: None)
    own.start(beat(), "heartbeat")
    try:
        yield
    finally:
        await own.close()


class _Work:
    def __init__(
        self,
        book: Book,
        kinds: Kinds,
        sender: Sender,
        run: Run,
        listener: Listener,
        jitter: Callable[[], float],
        concurrency: int,
        tasks: Tasks,
    ) -> None:
        self._book = book
        self._kinds = kinds
        self._run = run
        self._listener = listener
        self._jitter = jitter
        self._tasks = tasks
        self._pace = Pace(book, concurrency)
        note = self._note if listener.wants_attempts else _ignore
        self._checker = Checker(book, self._pace, sender, jitter, note)
        self._attempts: dict[int, list[str]] = {}
        self._busy: list[tuple[Choice, Kind, str]] = []
        self.tally = Tally()

    async def all(self, choices: list[Choice]) -> None:
        self.tally.total = len(choices)
        self._listener.begins(self._run, choices)
        hosts: dict[str, list[tuple[Choice, Kind]]] = {}
        for choice in choices:
            try:
                kind = self._kinds.find(choice.kind)
                variables = msgspec.json.decode(choice.variables, type=dict[str, str])
                host = host_for(kind, variables)
            except (BadKind, Incomplete) as error:
                self._ended(choice, End.FAILED, str(error))
            else:
                hosts.setdefault(host, []).append((choice, kind))
        for host, waiting in hosts.items():
            self._tasks.start(self._host(host, waiting), f"host {host}")
        await self._tasks.wait()
        await self._wait_for_others()

    async def _host(self, host: str, waiting: Iterable[tuple[Choice, Kind]]) -> None:
        """One after the other begins; how long each one takes holds up nobody."""
        await asyncio.sleep(self._jitter() / 2)
        for choice, kind in waiting:
            await self._begin(choice, kind, host)

    async def _begin(self, choice: Choice, kind: Kind, host: str) -> None:
        permit = await self._pace.permit()
        try:
            async with self._pace.turn(host):
                claimed = await self._book.claim(self._run, choice.id)
        except BaseException:
            permit.release()
            raise
        if isinstance(claimed, Claim):
            check = self._check(choice, kind, claimed, Turn(host, permit))
            self._tasks.start(check, f"credential {choice.id}")
            return
        permit.release()
        if claimed is Held.BUSY:
            self._busy.append((choice, kind, host))
        else:
            self._skipped(choice, claimed)

    async def _check(self, choice: Choice, kind: Kind, claim: Claim, turn: Turn) -> None:
        for _ in range(RETAKEN):
            result = await self._checker.check(claim, kind, turn)
            state = await self._book.finish(self._run, result)
            if state is not None:
                self._finished(choice, result, state)
                return
            again = await self._book.claim(self._run, choice.id)
            if not isinstance(again, Claim):
                self._skipped(choice, again)
                return
            claim = again
        self._ended(choice, End.FAILED, "it was changed again and again while it was checked")

    def _finished(self, choice: Choice, result: Result, state: State) -> None:
        if state is State.QUARANTINED:
            self._ended(choice, End.QUARANTINED, result.reason)
        elif state is State.DELETED:
            self._ended(choice, End.DELETED, result.reason)
        elif result.outcome is Outcome.VALID:
            self._ended(choice, End.REFRESHED, "", is_new=result.parts is not None)
        else:
            self._ended(choice, End.FAILED, result.reason)

    async def _wait_for_others(self) -> None:
        """What other runs hold is theirs while they live; then it is ours, or broken off."""
        watch = Watch(self._book)
        while self._busy:
            waiting, self._busy = self._busy, []
            await asyncio.sleep(LOOK_AGAIN_S)
            for choice, kind, host in waiting:
                claimed = await self._book.claim(self._run, choice.id)
                if isinstance(claimed, Claim):
                    turn = Turn("", await self._pace.permit())
                    await self._check(choice, kind, claimed, turn)
                elif claimed is Held.BUSY:
                    await watch.look(choice.id)
                    self._busy.append((choice, kind, host))
                else:
                    self._skipped(choice, claimed)

    def _skipped(self, choice: Choice, held: Held) -> None:
        self._ended(choice, End.SKIPPED, held.value)

    def _note(self, credential_id: int, text: str) -> None:
        self._attempts.setdefault(credential_id, []).append(text)

    def _ended(self, choice: Choice, end: End, reason: str, **more: Any) -> None:
        attempts = tuple(self._attempts.pop(choice.id, ()))
        report = Report(choice, end, reason, attempts=attempts, **more)
        self.tally.add(report)
        self._listener.ended(sum(self.tally.ends.values()), self.tally.total, report)


def _ignore(credential_id: int, text: str) -> None: ...
