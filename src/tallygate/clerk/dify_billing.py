"""What Dify used and we read ourselves: proxied answers when they settle, traces when quiet.

Both are charged as any event is, by the prices and for the apps of now.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from tallygate.clerk import delivery_answers
from tallygate.clerk.billing import policy_of
from tallygate.clerk.delivery_answers import Answer
from tallygate.clerk.options import Options
from tallygate.clerk.shelf import Shelf
from tallygate.clerk.writer import Writer
from tallygate.core.charging import Event, Source
from tallygate.core.dify_commands import BrowserAnswer, TakeBrowserEvents
from tallygate.core.dify_events import Item, Rules, read
from tallygate.core.entry import Entry
from tallygate.core.errors import Code, Refusal, StoreUnavailable
from tallygate.core.event_fields import DAY_MS
from tallygate.core.ports import Actor, Clock
from tallygate.store import dify_apps, dify_charges, dify_traces
from tallygate.store.charging import Outcome, charge_batch
from tallygate.store.database import Database, Tx
from tallygate.store.dify_traces import Trace

LOOK_S = 0.5
PRUNE_S = 60.0
TRACES_MAX = 200  # in one transaction
RECALL_MS = 2_000  # how long money that gateways lease is waited for
_OF_A_KEY = "key-"  # the user of a key without an account (core/dify.py)


class DifyBilling:
    """`recall` asks for what gateways have leased of a wallet."""

    def __init__(
        self,
        db: Database,
        writer: Writer,
        clock: Clock,
        options: Options,
        shelf: Shelf,
        recall: Callable[[int], None],
    ) -> None:
        self._db = db
        self._writer = writer
        self._clock = clock
        self._shelf = shelf
        self._recall = recall
        self._options = options
        self._policy = policy_of(options)

    async def settle(self, tx: Tx, entries: Sequence[Entry], now_ms: int) -> None:
        """Part of the transaction that settles these entries."""
        if all(entry.event is None for entry in entries):
            return
        try:
            await self._shelf.refresh(tx, now_ms)
            prices = self._shelf.prices
            await dify_charges.charge_entries(tx, entries, prices, self._policy, now_ms)
        except BaseException:
            self._shelf.forget()  # it may have been read in a transaction that fails
            raise

    async def run(self) -> None:
        """Until cancelled: make events of traces that have become quiet."""
        loop = asyncio.get_running_loop()
        prune_s = loop.time() + PRUNE_S
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.charge_traces()
                if loop.time() >= prune_s:
                    prune_s = loop.time() + PRUNE_S
                    await self._writer.do("traces", dify_traces.prune, is_repeatable=True)
            except StoreUnavailable:
                continue

    async def charge_traces(self) -> None:
        async with self._db.reading() as tx:
            is_due = await dify_traces.is_any_due(tx, self._clock.now_ms())
        if not is_due:
            return
        try:
            short = await self._writer.do("traces", self._charge, is_repeatable=True)
        except BaseException:
            self._shelf.forget()
            raise
        for wallet_id in short:
            self._recall(wallet_id)

    async def _charge(self, tx: Tx, now_ms: int) -> set[int]:
        """Charge what is due; the wallets that came short while gateways lease some of them."""
        traces = await dify_traces.due(tx, now_ms, TRACES_MAX)
        await self._shelf.refresh(tx, now_ms)
        apps = {app.id: app for app in await dify_apps.list_all(tx, None)}
        short: set[int] = set()
        done: list[Trace] = []
        for may_recall in (True, False):
            some = [one for one in traces if (now_ms - one.due_ms < RECALL_MS) is may_recall]
            known = [one for one in some if one.app_id in apps]
            done += [one for one in some if one.app_id not in apps]
            events = [dify_charges.event_of_trace(one, apps[one.app_id]) for one in known]
            outcomes = await charge_batch(
                tx, events, self._shelf.prices, self._policy, now_ms, may_recall=may_recall
            )
            decided: list[tuple[Event, Outcome, str]] = []
            for trace, event, outcome in zip(known, events, outcomes, strict=True):
                if outcome.wallet_id:
                    short.add(outcome.wallet_id)
                    continue
                done.append(trace)
                if not _is_nobodys(event, outcome):
                    decided.append((event, outcome, apps[trace.app_id].name))
            await dify_charges.note(tx, decided, now_ms)
        await dify_traces.settled(tx, done)
        return short

    async def take_browser_events(self, wanted: TakeBrowserEvents, _: Actor) -> BrowserAnswer:
        """They name no account but the session's, and leave no letters: anybody can forge them."""
        rules = Rules(self._options.dify_max_age_days * DAY_MS, wanted.account_id)
        delivery = read(wanted.body, self._clock.now_ms(), rules)

        async def work(tx: Tx, now_ms: int) -> list[Answer]:
            await self._shelf.refresh(tx, now_ms)
            return [await self._take_item(tx, item, wanted, now_ms) for item in delivery.items]

        try:
            answers = await self._writer.do(wanted.NAME, work, is_repeatable=True)
        except BaseException:
            self._shelf.forget()
            raise
        status, body = delivery_answers.encoded(answers, is_batch=delivery.is_batch)
        return BrowserAnswer(status=status, body=body)

    async def _take_item(
        self, tx: Tx, item: Item, wanted: TakeBrowserEvents, now_ms: int
    ) -> Answer:
        if item.refusal is not None:
            return delivery_answers.refused(item.refusal, wanted.request_id)
        if item.event is None:
            return delivery_answers.ignored()
        told = msgspec.structs.replace(
            item.event, source=Source.BROWSER, account_id=wanted.account_id
        )
        try:
            event = self._shelf.resolve(told, wanted.app)
        except Refusal as refusal:
            return delivery_answers.refused(refusal, wanted.request_id)
        [outcome] = await charge_batch(tx, [event], self._shelf.prices, self._policy, now_ms)
        return delivery_answers.of_outcome(outcome, wanted.request_id)


def _is_nobodys(event: Event, outcome: Outcome) -> bool:
    """A call through our proxy by a key that has no account: there is nobody to charge."""
    refusal = outcome.refusal
    return (
        refusal is not None
        and refusal.code is Code.UNKNOWN_USER
        and event.account_id.startswith(_OF_A_KEY)
    )
