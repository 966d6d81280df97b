"""What should lie at the edge: followed change by change by the feed, compared whole now and then.

Only differences are written to the entries. The feed's number is read before what it tells of, so a
change that comes meanwhile is met again, which changes nothing.
"""

from collections.abc import Iterable, Sequence

import msgspec

from tallygate.clerk.clock import NodeClock
from tallygate.clerk.options import Options
from tallygate.clerk.writer import Writer
from tallygate.core.edge import ROUTES, digest_of, key_of, text_of
from tallygate.core.edge_commands import WithheldRoute
from tallygate.core.edge_portion import Waiting
from tallygate.store import edge, feed
from tallygate.store import edge_entries as entries
from tallygate.store.database import Database, Tx
from tallygate.store.edge import Document
from tallygate.store.edge_entries import Entry
from tallygate.store.feed import Event

EVENTS_MAX = 500
PAGE = 500


class EdgePlan:
    def __init__(self, db: Database, clock: NodeClock, writer: Writer, options: Options) -> None:
        self._db = db
        self._clock = clock
        self._writer = writer
        self._master_key = options.master_key
        self._edge_key = key_of(options.edge_secret) if options.edge_secret else None
        self.withheld: list[WithheldRoute] | None = None  # as of when routes were last looked at

    async def follow(self, since: int) -> int | None:
        """The feed's number up to which the entries are right; None: compare all."""
        while True:
            async with self._db.reading() as tx:
                events, oldest = await feed.read_since(tx, since, EVENTS_MAX)
                is_missed = since < oldest - 1 or await feed.latest(tx) < since
                if is_missed or any(event.kind == "flush" for event in events):
                    return None
                if not events:
                    return since
                key_ids, has_routes = await _touched(tx, events)
                changes = await self._differences(tx, sorted(key_ids))
                if has_routes:
                    changes += await self._routes_differ(tx)
            await self._enter(changes)
            since = events[-1].seq

    async def compare_all(self) -> int:
        """Bring every entry up to date; the feed's number before it began."""
        async with self._db.reading() as tx:
            seq = await feed.latest(tx)
        await self.compare_routes()
        after_id = 0
        while key_ids := await self._next_keys(after_id):
            await self._compare(key_ids)
            after_id = key_ids[-1]
        name = ""
        while found := await self._next_entries(name):
            await self._compare(sorted({one.key_id for one in found if one.key_id}))
            name = found[-1].name
        return seq

    async def compare_routes(self) -> None:
        async with self._db.reading() as tx:
            changes = await self._routes_differ(tx)
        await self._enter(changes)

    async def waiting(self, tx: Tx, limit: int) -> list[Waiting]:
        """What waits, with its text as it is now."""
        found = await entries.waiting(tx, limit)
        key_ids = sorted({one.key_id for one in found if one.key_id})
        documents = {one.name: one for one in await self._tokens(tx, key_ids)}
        if any(one.name == ROUTES for one in found):
            routes = await self._routes_document(tx)
            documents[routes.name] = routes
        return [_waiting(one, documents.get(one.name)) for one in found]

    async def _next_keys(self, after_id: int) -> list[int]:
        async with self._db.reading() as tx:
            return await edge.key_ids_after(tx, after_id, PAGE)

    async def _next_entries(self, name: str) -> list[Entry]:
        async with self._db.reading() as tx:
            return await entries.after(tx, name, PAGE)

    async def _compare(self, key_ids: Sequence[int]) -> None:
        async with self._db.reading() as tx:
            changes = await self._differences(tx, key_ids)
        await self._enter(changes)

    async def _tokens(self, tx: Tx, key_ids: Sequence[int]) -> list[Document]:
        now_ms = self._clock.now_ms()
        found: list[Document] = []
        for start in range(0, len(key_ids), PAGE):
            found += await edge.tokens(tx, key_ids[start : start + PAGE], now_ms)
        return found

    async def _routes_document(self, tx: Tx) -> Document:
        document = await edge.routes_document(tx, self._master_key, self._edge_key)
        self.withheld = [
            WithheldRoute(host=one.host, path=one.path, reason=one.withheld)
            for one in document.routes
            if one.withheld
        ]
        return Document(ROUTES, 0, text_of(document), revokes=False)

    async def _routes_differ(self, tx: Tx) -> list[Entry]:
        known = await entries.named(tx, [ROUTES])
        return self._changed([await self._routes_document(tx)], known)

    async def _differences(self, tx: Tx, key_ids: Sequence[int]) -> list[Entry]:
        """Entries of these keys that should be others."""
        known: dict[str, Entry] = {}
        for start in range(0, len(key_ids), PAGE):
            some = await entries.of_keys(tx, key_ids[start : start + PAGE])
            known |= {one.name: one for one in some}
        documents = await self._tokens(tx, key_ids)
        named = {one.name for one in documents}
        gone = [one for name, one in known.items() if name not in named and one.wanted]
        known |= await entries.named(tx, [name for name in named if name not in known])
        now_ms = self._clock.now_ms()
        return self._changed(documents, known) + [
            msgspec.structs.replace(one, wanted="", rank=entries.REVOKING, wanted_ms=now_ms)
            for one in gone
        ]

    def _changed(self, documents: Iterable[Document], known: dict[str, Entry]) -> list[Entry]:
        now_ms = self._clock.now_ms()
        changes = []
        for one in documents:
            digest, before = digest_of(one.text), known.get(one.name)
            if before is not None and before.wanted == digest:
                continue
            lies = "" if before is None else before.published
            at_ms = 0 if before is None else before.published_ms
            rank = entries.REVOKING if lies or not one.key_id else entries.OTHERS
            changes.append(Entry(one.name, one.key_id, digest, lies, rank, now_ms, at_ms))
        return changes

    async def _enter(self, changes: Sequence[Entry]) -> None:
        if changes:
            await self._writer.do(
                "edge plan", lambda tx, _: entries.put(tx, changes), is_repeatable=True
            )


def _waiting(entry: Entry, document: Document | None) -> Waiting:
    is_urgent = entry.rank == entries.REVOKING
    if document is None:
        return Waiting(entry.name, entry.published, is_urgent)
    return Waiting(
        entry.name,
        entry.published,
        is_urgent,
        document.text,
        digest_of(document.text),
        document.revokes,
    )


async def _touched(tx: Tx, events: Sequence[Event]) -> tuple[set[int], bool]:
    """The keys that the events tell of, and whether they tell of routes."""
    key_ids = {event.subject for event in events if event.kind == "key"}
    limit_ids = [event.subject for event in events if event.kind == "limit" and event.subject > 0]
    has_routes = any(event.kind == "config" for event in events)
    if limit_ids:
        limited, of_routes = await edge.keys_of_limits(tx, limit_ids)
        key_ids |= limited
        has_routes = has_routes or of_routes
    return key_ids, has_routes
