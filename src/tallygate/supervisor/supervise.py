"""Keeping the posts of one node filled: start, watch, refill, replace one by one, drain.

Everything happens in `_turn`, which waits for whatever comes first: a signal, a word from a role,
the end of a process, a post that is due. The rest is straight-line code that turns until what it
waits for is so. Processes are known by their own pid only.
"""

import contextlib
import selectors
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from tallygate.supervisor.child import Child, Duty, Post
from tallygate.supervisor.failure import Failure
from tallygate.supervisor.signals import Signals

READY_TIMEOUT_S = 30.0
TURN_S_MAX = 0.5
# How much of the drain time has gone by when the processes of each rank are killed, in the order
# in which they stop: the clerk last, for it settles what the others still write.
STOP_ORDER = (("gateway", 0.8), ("control", 0.9), ("clerk", 1.0))


class Supervisor:
    """Runs until it is told to stop; `log` takes an event and its fields."""

    def __init__(
        self,
        duties: Sequence[Duty],
        *,
        run_folder: Path,
        drain_timeout_s: float,
        inherited_fds: Sequence[int],
        log: Any,  # a structlog logger: it has no common base class
    ) -> None:
        self._posts = [Post(duty) for duty in duties]
        self._run_folder = run_folder
        self._drain_timeout_s = drain_timeout_s
        self._inherited_fds = inherited_fds
        self._log = log
        self._selector = selectors.DefaultSelector()
        self._signals = Signals()
        self._is_open = False
        self._is_stopping = False
        self._roll: Iterator[None] | None = None

    def run(
        self, prepare: Duty, open_doors: Callable[[], None], reload: Callable[[], None]
    ) -> None:
        """Serve until a signal ends it. Failure when the node cannot start.

        `open_doors` is called when every role is ready. `reload`, then `prepare`, which is done by
        a process of its own, come before a rolling restart.
        """
        with self._signals.caught() as fd:
            self._selector.register(fd, selectors.EVENT_READ)
            try:
                self._start()
                if not self._is_stopping:
                    open_doors()
                    self._is_open = True
                    self._let_go()
                while not self._is_stopping:
                    self._turn()
                    self._step_roll(prepare, reload)
            finally:
                self._stop()
                self._selector.close()

    # --- starting ---

    def _start(self) -> None:
        """All import side by side; the one that prepares the store gets its settings first."""
        for post in self._posts:
            self._fill(post, self._spawn(post.duty))
        first = [post for post in self._posts if post.duty.is_exclusive]
        self._brief(first)
        while not self._is_stopping and not all(post.is_prepared for post in first):
            self._turn()  # preparing may take as long as it needs
            self._fail_on_early_end()
        self._brief([post for post in self._posts if not post.duty.is_exclusive])
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._is_stopping and not self._are_all_ready():
            self._turn()
            self._fail_on_early_end()
            if time.monotonic() > deadline:
                late = ", ".join(p.duty.name for p in self._posts if not p.is_ready)
                raise Failure(f"not ready within {READY_TIMEOUT_S:.0f} s: {late}")

    def _brief(self, posts: Sequence[Post]) -> None:
        for post in posts:
            if post.child and not self._is_stopping:
                post.child.brief(post.duty.brief())

    def _prepared(self, duty: Duty, child: Child) -> Generator[None, None, None]:
        """Wait for the process that prepares the store; it may take as long as it needs."""
        child.brief(duty.brief())
        try:
            while not child.has_ended() and not self._is_stopping:
                yield
            child.listen()
            if not child.is_ready and not self._is_stopping:
                raise Failure(child.how_it_ended())
        finally:
            if not child.has_ended():
                child.send(signal.SIGKILL)
                child.process.wait()
            self._forget(child)

    def _are_all_ready(self) -> bool:
        return all(post.is_ready for post in self._posts)

    def _fail_on_early_end(self) -> None:
        for post in self._posts:
            if post.child and post.child.has_ended() and not self._is_stopping:
                post.child.listen()
                how = post.child.how_it_ended()
                if post.duty.is_exclusive and not post.child.is_prepared:
                    raise Failure(how)  # the store's fault, not this role's
                raise Failure(f"{post.duty.name} cannot start: {how}")

    def _let_go(self) -> None:
        for post in self._posts:
            if post.child:
                post.child.go()

    # --- watching ---

    def _turn(self) -> None:
        now = time.monotonic()
        due = [post.refill_at - now for post in self._posts if post.refill_at is not None]
        timeout = max(0.0, min([TURN_S_MAX, *due]))
        for key, _ in self._selector.select(timeout):
            if isinstance(key.data, Child):
                self._hear(key.data)
            else:
                self._signals.drain()
        if self._signals.stops:
            self._is_stopping = True
        if self._is_open:
            for post in self._posts:
                self._bury(post)
                self._refill(post)

    def _hear(self, child: Child) -> None:
        was_ready = child.is_ready
        if not child.listen():
            self._selector.unregister(child.status_fd)
        if child.is_ready and not was_ready and self._is_open:
            child.go()

    def _bury(self, post: Post) -> None:
        """Take note of who has died."""
        successor = post.successor
        if successor and successor.has_ended():
            self._log.error("successor ended", post=post.duty.name, how=successor.how_it_ended())
            self._forget(successor)
            post.successor = None
            if post.child is None:
                post.refill_at = time.monotonic()
        child = post.child
        if child is None:
            return
        is_stuck = not child.is_ready and time.monotonic() > child.started_at + READY_TIMEOUT_S
        if is_stuck and not child.has_ended():
            child.send(signal.SIGKILL)
        if not child.has_ended():
            return
        child.listen()
        lived_s = time.monotonic() - child.started_at
        self._forget(child)
        post.child = None
        if post.successor is None and not self._is_stopping:
            delay_s = post.backoff.delay_s(was_ready=child.is_ready, lived_s=lived_s)
            post.refill_at = time.monotonic() + delay_s
            self._log.error(
                "role ended", post=post.duty.name, how=child.how_it_ended(), restart_in_s=delay_s
            )

    def _refill(self, post: Post) -> None:
        if post.refill_at is None or self._is_stopping or time.monotonic() < post.refill_at:
            return
        post.refill_at = None
        child = self._spawn(post.duty)
        child.brief(post.duty.brief())
        self._fill(post, child)

    # --- the rolling restart ---

    def _step_roll(self, prepare: Duty, reload: Callable[[], None]) -> None:
        if self._roll is None:
            if not self._signals.take_roll():
                return
            self._roll = self._replace_all(prepare, reload)
        try:
            next(self._roll)
        except StopIteration:
            self._roll = None
        except Failure as failure:
            self._roll = None
            self._log.error("rolling restart given up", why=str(failure))

    def _replace_all(self, prepare: Duty, reload: Callable[[], None]) -> Iterator[None]:
        self._log.info("rolling restart begins")
        reload()
        yield from self._prepared(prepare, self._spawn(prepare))
        for role, _ in STOP_ORDER:
            for post in self._posts:
                if post.duty.role == role:
                    yield from self._replace(post)
        self._log.info("rolling restart done")

    def _replace(self, post: Post) -> Iterator[None]:
        """The successor is ready (the clerk's: warm) before its predecessor is told to leave."""
        successor = post.successor = self._spawn(post.duty)
        if not post.duty.is_exclusive:
            successor.brief(post.duty.brief())
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not (successor.is_ready or (post.duty.is_exclusive and successor.is_imported)):
            if post.successor is None:
                raise Failure(f"the successor of {post.duty.name} {successor.how_it_ended()}")
            if time.monotonic() > deadline:
                successor.send(signal.SIGKILL)
            yield
        if post.child:
            post.child.send(signal.SIGTERM)
        deadline = time.monotonic() + self._drain_timeout_s
        while post.child:
            if time.monotonic() > deadline:
                post.child.send(signal.SIGKILL)
            yield
        if not post.children:
            return  # the successor died just now: the post is refilled like any other
        post.successor = None
        self._fill(post, successor)
        if not successor.is_briefed:
            successor.brief(post.duty.brief())

    # --- stopping ---

    def _stop(self) -> None:
        self._is_stopping = True
        self._roll = None
        began = time.monotonic()
        for role, share in STOP_ORDER:
            posts = [post for post in self._posts if post.duty.role == role]
            for post in posts:
                for listener in post.duty.sockets:
                    listener.close()
            children = [child for post in posts for child in post.children]
            self._end(children, began + share * self._drain_timeout_s)
        for post in self._posts:
            self._pid_file(post.duty.name).unlink(missing_ok=True)

    def _end(self, children: list[Child], deadline: float) -> None:
        """Ask them to end; kill who is late, or who is left when a second signal hastens it."""
        for child in children:
            child.send(signal.SIGTERM)
        left = children
        while left := [child for child in left if not child.has_ended()]:
            if time.monotonic() >= deadline or self._signals.stops > 1:
                self._log.warning("killed", posts=[child.name for child in left])
                for child in left:
                    child.send(signal.SIGKILL)
                    child.process.wait()
            else:
                wait_s = max(0.0, min(TURN_S_MAX, deadline - time.monotonic()))
                for key, _ in self._selector.select(wait_s):
                    if isinstance(key.data, Child):
                        self._hear(key.data)
                    else:
                        self._signals.drain()
        for child in children:
            self._forget(child)

    # --- processes ---

    def _spawn(self, duty: Duty) -> Child:
        child = Child(duty, self._inherited_fds)
        self._selector.register(child.status_fd, selectors.EVENT_READ, child)
        return child

    def _fill(self, post: Post, child: Child) -> None:
        post.child = child
        self._log.debug("role started", post=post.duty.name, pid=child.pid)
        draft = self._pid_file(post.duty.name).with_suffix(".new")
        draft.write_text(f"{child.pid}\n")
        draft.replace(self._pid_file(post.duty.name))

    def _forget(self, child: Child) -> None:
        with contextlib.suppress(KeyError, ValueError):  # it may have said its last word already
            self._selector.unregister(child.status_fd)
        child.close()

    def _pid_file(self, name: str) -> Path:
        return self._run_folder / f"{name}.pid"
