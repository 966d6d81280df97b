"""Deliveries of all workers: those that arrive together are charged in one job of the writer.

A delivery is answered once what it says is committed. One whose wallet comes short while gateways
lease some of it is set aside for at most a second, while they are asked to give it back. When the
store is away nothing is kept: the answer says so, and the sender delivers again.
"""

import asyncio
import contextlib
import functools
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import msgspec

from tallygate.clerk import delivery_answers
from tallygate.clerk.delivery_batch import Done, Waiting, work
from tallygate.clerk.options import Options
from tallygate.clerk.peers import Peer
from tallygate.clerk.shelf import Shelf
from tallygate.clerk.writer import Writer
from tallygate.core.charging import Policy, Trust
from tallygate.core.deliveries import Deliver, Delivered, DeliveryAnswer
from tallygate.core.dify_events import Delivery, Item, Rules, read
from tallygate.core.errors import Code, Refusal, StoreUnavailable
from tallygate.core.event_fields import DAY_MS
from tallygate.core.ports import Clock
from tallygate.store.charge_rows import Raced

BATCH_MAX = 512
# After a batch of many, whoever was just answered is about to deliver again. A transaction's own
# cost is that of twenty charges, so the next one waits a moment for them.
BUSY_FROM = 8
GATHER_S = 0.001
WAITING_MAX = 20_000
WAITING_BYTES_MAX = 64 << 20
RECALL_S = 1.0
RETRY_S = 0.1  # gateways give money back without telling us
ATTEMPTS = 3
HOUR_MS = 3_600_000
LATEST_KEPT = 1_000

_AWAY = Refusal(Code.STORE_UNAVAILABLE, "the store does not answer; nothing was kept, try again")
_BUG = Refusal(Code.INTERNAL, "an error of Tallygate's own; its log has the details")
_FULL = Refusal(Code.OVERLOADED, "too many deliveries are waiting; try again")


class Asked:
    """A delivery and whoever waits for its answer."""

    __slots__ = ("arrived_ms", "deadline_s", "held_bytes", "id", "peer", "waiting")

    def __init__(self, peer: Peer, message: Deliver, waiting: Waiting) -> None:
        self.peer = peer
        self.id = message.id
        self.arrived_ms = message.arrived_ms
        self.waiting = waiting
        self.deadline_s = 0.0  # of waiting for leased money
        self.held_bytes = 0


def policy_of(options: Options) -> Policy:
    return Policy(
        options.charge_micros_max, options.may_overdraw, Trust(options.dify_browser_trust)
    )


class Billing:
    """`recall` asks for what gateways have leased of a wallet; it comes back by itself."""

    def __init__(
        self,
        writer: Writer,
        clock: Clock,
        options: Options,
        shelf: Shelf,
        recall: Callable[[int], None],
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._options = options
        self._recall = recall
        self._policy = policy_of(options)
        self._rules = Rules(options.dify_max_age_days * DAY_MS)
        self._queue: deque[Asked] = deque()
        self._parked: list[Asked] = []
        self._retry_s = 0.0
        self._held_bytes = 0
        self._wake = asyncio.Event()
        self.shelf = shelf
        self.batches = 0
        self.statuses: Counter[int] = Counter()
        self._latest: deque[tuple[int, int]] = deque(maxlen=LATEST_KEPT)  # milliseconds, status

    @property
    def waiting(self) -> int:
        """How many deliveries are not answered yet."""
        return len(self._queue) + len(self._parked)

    def faring(self) -> dict[str, Any]:
        """How the latest deliveries fared: from their arrival at a worker to their answer."""
        latest = sorted(ms for ms, _ in self._latest)
        refused = sum(status >= 400 for _, status in self._latest)
        return {
            "queue": self.waiting,
            "answered": self.statuses.total(),
            "by_status": {str(status): count for status, count in sorted(self.statuses.items())},
            "latest": len(latest),
            "latency_ms": {
                "p50": latest[len(latest) // 2] if latest else None,
                "p99": latest[len(latest) * 99 // 100] if latest else None,
            },
            "error_rate": round(refused / len(latest), 4) if latest else 0,
        }

    def deliver(self, peer: Peer, message: Deliver) -> None:
        """Read it now, while the store is at work on those before it."""
        if self.waiting >= WAITING_MAX or self._held_bytes > WAITING_BYTES_MAX:
            self._answer_all([Asked(peer, message, _nothing(message))], _FULL)
            return
        rules = self._rules
        if message.user:
            rules = msgspec.structs.replace(rules, user=message.user)
        if message.refusal:
            refusal = Refusal(Code(message.refusal), "the body is larger than allowed")
            delivery = Delivery((Item(message.body, refusal=refusal),))
        else:
            delivery = read(message.body, self._clock.now_ms(), rules)
        waiting = Waiting(
            delivery,
            message.body,
            message.request_id,
            message.app,
            message.user,
            message.delivery_id,
        )
        asked = Asked(peer, message, waiting)
        asked.held_bytes = len(message.body)
        self._held_bytes += asked.held_bytes
        self._queue.append(asked)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        is_busy = False
        while True:
            pause_s = max(0.0, self._retry_s - loop.time()) if self._parked else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            self._wake.clear()
            if self._parked and self._retry_s <= loop.time():
                self._queue.extendleft(self._parked)
                self._parked = []
            if not self._queue:
                continue
            if is_busy and len(self._queue) < BATCH_MAX:
                await asyncio.sleep(GATHER_S)
            batch = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
            is_busy = len(batch) >= BUSY_FROM
            await self._charge(batch)
            if self._queue:
                self._wake.set()

    async def _charge(self, batch: list[Asked]) -> None:
        now_s = asyncio.get_running_loop().time()
        for asked in batch:
            if asked.deadline_s and asked.deadline_s <= now_s:
                asked.waiting.may_recall = False
        try:
            done = await self._run([asked.waiting for asked in batch])
        except StoreUnavailable:
            self._give_up(batch, _AWAY)
        except Exception:  # a bug of ours, which the writer has logged: find whose it is
            if len(batch) == 1:
                self._give_up(batch, _BUG)
                return
            for asked in batch:
                await self._charge([asked])
        else:
            self._settle_down(batch, done, now_s)

    def _give_up(self, batch: list[Asked], refusal: Refusal) -> None:
        self.shelf.forget()  # it may have been read in the transaction that failed
        self._answer_all(batch, refusal)

    async def _run(self, batch: list[Waiting]) -> Done:
        keep_ms = self._options.idempotency_keep_h * HOUR_MS
        job = functools.partial(
            work, batch=batch, shelf=self.shelf, policy=self._policy, keep_ms=keep_ms
        )
        for left in reversed(range(ATTEMPTS)):
            try:
                return await self._writer.do("deliveries", job, is_repeatable=True)
            except StoreUnavailable as error:
                if not left or not isinstance(error.__cause__, Raced):
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _settle_down(self, batch: list[Asked], done: Done, now_s: float) -> None:
        """Answer what is decided; ask gateways for what is missing of the rest."""
        self.batches += 1
        now_ms = self._clock.monotonic_ms()
        answers: dict[Peer, list[DeliveryAnswer]] = {}
        for asked in batch:
            short = done.short_wallets.get(asked.waiting)
            if short:
                asked.deadline_s = asked.deadline_s or now_s + RECALL_S
                if not self._parked:
                    self._retry_s = now_s + RETRY_S
                self._parked.append(asked)
                for wallet_id in short:
                    self._recall(wallet_id)
                continue
            delivery = asked.waiting.read
            status, body = delivery_answers.encoded(
                done.answers[asked.waiting], is_batch=delivery.is_batch
            )
            answers.setdefault(asked.peer, []).append(DeliveryAnswer(asked.id, status, body))
            self._note(asked, status, now_ms)
        for peer, some in answers.items():
            peer.send(Delivered(some))

    def _answer_all(self, batch: list[Asked], refusal: Refusal) -> None:
        for asked in batch:
            answer = delivery_answers.refused(refusal, asked.waiting.request_id)
            status, body = delivery_answers.encoded([answer], is_batch=False)
            asked.peer.send(Delivered([DeliveryAnswer(asked.id, status, body)]))
            self._note(asked, status, self._clock.monotonic_ms())

    def _note(self, asked: Asked, status: int, now_ms: int) -> None:
        self._held_bytes -= asked.held_bytes
        self.statuses[status] += 1
        self._latest.append((max(0, now_ms - asked.arrived_ms), status))


def _nothing(message: Deliver) -> Waiting:
    return Waiting(Delivery(()), message.body, message.request_id)
