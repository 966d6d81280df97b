"""Idempotency-Keys of billable calls: who runs it, what was answered, and what was given back.

The claimed record names its owner's life, so that the clerk can release what a dead worker had
begun. Word of a call's end is kept and repeated until the store has it.
"""

import asyncio
import functools
from collections import deque

from tallygate.clerk.options import Options
from tallygate.clerk.peers import Peer
from tallygate.clerk.settle import owner_of
from tallygate.clerk.writer import Writer
from tallygate.core.claims import Claim, Claimed, Fulfil, Fulfilled
from tallygate.core.errors import StoreUnavailable
from tallygate.store import idempotency
from tallygate.store.database import Tx
from tallygate.store.idempotency import Earlier, State

HOUR_MS = 3_600_000
ENDED_MAX = 10_000
PAUSE_S = 0.2
CONTENT_TYPE_MAX = 256


class Claims:
    def __init__(self, writer: Writer, options: Options) -> None:
        self._writer = writer
        self._options = options
        self._ended: deque[tuple[Peer, Fulfil]] = deque(maxlen=ENDED_MAX)
        self._wake = asyncio.Event()

    async def claim(self, peer: Peer, claim: Claim) -> None:
        try:
            earlier = await self._writer.do(
                "claim", lambda tx, now_ms: self._claim(tx, now_ms, peer, claim), is_repeatable=True
            )
        except StoreUnavailable:
            peer.send(Claimed(claim.id, "unavailable", "", 0, "", None))
            return
        state = earlier.state
        if state is State.RUNNING and earlier.request_id == claim.request_id:
            state = State.NEW  # our own claim: its transaction was tried twice
        peer.send(
            Claimed(
                claim.id,
                state.value,
                earlier.request_id,
                earlier.status,
                earlier.content_type,
                earlier.answer,
            )
        )

    async def _claim(self, tx: Tx, now_ms: int, peer: Peer, claim: Claim) -> Earlier:
        return await idempotency.claim(
            tx,
            self._options.master_key,
            scope=_scope(claim.key_id),
            key=claim.idempotency_key,
            payload_hash=claim.payload_hash,
            owner=owner_of((peer.slot, peer.boot), self._options.node_uuid),
            request_id=claim.request_id,
            now_ms=now_ms,
            keep_ms=self._options.idempotency_keep_h * HOUR_MS,
        )

    def fulfil(self, peer: Peer, ended: Fulfil) -> None:
        self._ended.append((peer, ended))
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled: write down how claimed calls ended, in order."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._ended:
                batch = list(self._ended)
                try:
                    ending = functools.partial(self._end_all, [ended for _, ended in batch])
                    await self._writer.do("claimed calls ended", ending, is_repeatable=True)
                except StoreUnavailable:
                    await asyncio.sleep(PAUSE_S)
                    continue
                for one in batch:
                    if self._ended and self._ended[0] is one:
                        self._ended.popleft()
                _answer(batch)

    async def _end_all(self, batch: list[Fulfil], tx: Tx, _: int) -> None:
        for ended in batch:
            scope, key = _scope(ended.key_id), ended.idempotency_key
            request_id = ended.request_id or None
            if ended.is_released:
                await idempotency.release(tx, scope=scope, key=key, request_id=request_id)
                continue
            await idempotency.finish(
                tx,
                self._options.master_key,
                scope=scope,
                key=key,
                request_id=request_id,
                status=ended.status,
                content_type=ended.content_type[:CONTENT_TYPE_MAX],
                answer=ended.answer,
            )


def _answer(stored: list[tuple[Peer, Fulfil]]) -> None:
    """Tell each worker which of its ends it may forget."""
    ids: dict[Peer, list[int]] = {}
    for peer, ended in stored:
        if ended.id:  # else its worker is of a version that forgets at once
            ids.setdefault(peer, []).append(ended.id)
    for peer, numbers in ids.items():
        peer.send(Fulfilled(numbers))


def _scope(key_id: int) -> str:
    return f"call:{key_id}"
