"""Leases of one worker through the hours: parking, giving back, rolling over, reconnects."""

import pytest

from tallygate.core.limits import Dimension, Limit
from tallygate.core.ports import Recall, Sync
from tallygate.core.windows import Span
from tallygate.gateway.lease import Lease
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import Incomplete, chat, reply
from tests.gateway.rig import NOON_MS, Rig, Side, rigged

DAY_S = NOON_MS // 1000 - 12 * 3600
DAILY = (1, DAY_S)


def per_minute(amount: int) -> Limit:
    return Limit(1, Dimension.REQUESTS, Span.MINUTE, "UTC", amount)


def begun(rig: Rig) -> Side:
    client = rig.client()
    client.send(chat())
    return client


def finished(rig: Rig, count: int = 1) -> None:
    """Calls from beginning to end."""
    for _ in range(count):
        client = begun(rig)
        rig.upstream.send(reply())
        assert client.answer().status == 200


def syncs(rig: Rig) -> list[Sync]:
    return rig.clerk.sent(Sync)


def lease_of(rig: Rig, counter: tuple[int, int] = DAILY) -> Lease:
    return rig.parts._book._leases[counter]


def test_calls_of_one_tick_are_asked_for_in_one_message() -> None:
    """All of them, of all counters, in the order of counters: that is how the store locks them."""
    keys = {name: key_with(daily(number, 90), id=number) for number, name in [(3, "a"), (1, "b")]}
    with rigged(keys) as rig:
        for name in keys:
            rig.client().send(chat(key=name))
        before = len(syncs(rig))
        rig.pass_time(2)  # the units went home
        for name in [*keys, *keys]:
            rig.client().send(chat(key=name), is_settled=False)
        rig.settle()
        sync = syncs(rig)[-1]
        assert [(ask.limit_id, ask.need) for ask in sync.asks] == [(1, 2), (3, 2)]
        assert len(syncs(rig)) == before + 2
        assert rig.requests_upstream() == 6


def test_calls_wait_for_the_clerk_and_go_on_in_order() -> None:
    with rigged({"k": key_with(daily(1, 2))}) as rig:
        rig.clerk.held = {Sync}
        clients = [begun(rig) for _ in range(3)]
        assert rig.requests_upstream() == 0
        rig.clerk.held = set()
        rig.settle()
        assert rig.requests_upstream() == 2
        assert clients[2].answer().status == 429
        assert clients[0].unread == clients[1].unread == b""


def test_a_call_that_comes_during_a_sync_is_not_refused_by_its_answer() -> None:
    """It was not asked for there; its own question may find units."""
    with rigged({"k": key_with(daily(1, 3))}) as rig:
        rig.clerk.held = {Sync}
        begun(rig)
        begun(rig)
        rig.clerk.held = set()
        rig.settle()
        assert rig.requests_upstream() == 2
        assert [ask.need for sync in syncs(rig) for ask in sync.asks] == [1, 1]
        begun(rig)
        assert rig.requests_upstream() == 3
        assert begun(rig).answer().status == 429


def test_units_that_nobody_used_for_a_second_go_home() -> None:
    """Another worker may be short of them."""
    with rigged({"k": key_with(daily(1, 100))}) as rig:
        finished(rig)
        assert lease_of(rig).available == 24
        rig.pass_time(1)
        assert lease_of(rig).available == 24
        rig.pass_time(0.5)
        assert lease_of(rig).available == 0
        [ask] = syncs(rig)[-1].asks
        assert (ask.need, ask.granted, ask.returned) == (0, 25, 24)
        rig.clerk.books.settle(rig.entries()[0].uses)
        assert rig.clerk.books.used(DAILY) == 1
        finished(rig)


def test_a_recall_is_answered_with_what_no_call_holds() -> None:
    with rigged({"k": key_with(daily(1, 100))}) as rig:
        begun(rig)
        for returned in (24, 24):
            rig.parts.from_clerk(Recall([DAILY, (77, 0)]))
            rig.settle()
            [ask] = syncs(rig)[-1].asks
            assert (ask.limit_id, ask.returned, ask.need) == (1, returned, 0)
        assert len(syncs(rig)) == 3
        assert lease_of(rig).reserved == 1


def test_who_is_short_does_not_give_back() -> None:
    with rigged({"k": key_with(daily(1, 1))}) as rig:
        begun(rig)
        rig.clerk.held = {Sync}
        begun(rig)
        rig.parts.from_clerk(Recall([DAILY]))
        assert len(syncs(rig)) == 2
        assert lease_of(rig).returned == 0


def test_the_next_window_is_leased_before_it_begins() -> None:
    """Its first call need not wait for the store."""
    with rigged({"k": key_with(per_minute(40))}) as rig:
        next_minute = (1, NOON_MS // 1000 + 60)
        rig.pass_time(54)
        finished(rig)
        assert next_minute not in rig.parts._book._leases
        rig.pass_time(2)
        assert lease_of(rig, next_minute).available == 10
        rig.pass_time(4)
        rig.clerk.held = {Sync}
        finished(rig)
        assert rig.entries()[-1].uses[0].window_s == next_minute[1]


def test_a_window_that_ended_is_closed_once_its_calls_have_ended() -> None:
    """A call belongs to the window of its admission."""
    with rigged({"k": key_with(per_minute(40))}) as rig:
        minute = (1, NOON_MS // 1000)
        client = begun(rig)
        rig.pass_time(61)
        assert minute in rig.parts._book._leases
        rig.upstream.send(reply())
        assert client.answer().status == 200
        assert rig.entries()[0].uses[0].window_s == minute[1]
        rig.pass_time(0.5)
        assert minute not in rig.parts._book._leases
        assert [ask.is_closing for ask in syncs(rig)[-1].asks] == [True]
        assert rig.clerk.books.used(minute) == 1 or not rig.clerk.books.rows


def test_a_window_that_ends_while_the_clerk_is_away_is_closed_when_it_is_back() -> None:
    """A lease that was forgotten here would be held there until the worker ends."""
    with rigged({"k": key_with(per_minute(40))}) as rig:
        finished(rig)
        rig.clerk.is_away = True
        rig.pass_time(62, is_clerk_alive=False)
        rig.reconnect()
        rig.pass_time(1)
        closing = [ask for sync in syncs(rig) for ask in sync.asks if ask.is_closing]
        assert [ask.window_s for ask in closing] == [NOON_MS // 1000]
        assert (1, NOON_MS // 1000) not in rig.parts._book._leases


def test_a_limit_starts_afresh_in_the_next_window() -> None:
    with rigged({"k": key_with(per_minute(1))}) as rig:
        finished(rig)
        refused = begun(rig).answer()
        assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
        assert refused.headers["retry-after"] == "60"
        assert refused.headers["x-ratelimit-reset-requests"] == "1m0s"
        rig.pass_time(60)
        finished(rig)
        assert begun(rig).answer().status == 429


def test_a_reset_replaces_the_lease_and_running_calls_keep_theirs() -> None:
    """Their entries make usage rows of the old generation, and move no counter of the new one."""
    with rigged({"k": key_with(daily(1, 2))}) as rig:
        first = begun(rig)
        second = begun(rig)
        assert begun(rig).answer().status == 429
        rig.clerk.books.reset(DAILY)
        rig.publish("counter", *DAILY)
        old_upstreams = list(rig.upstreams)
        for _ in range(2):
            begun(rig)
        assert rig.requests_upstream() == 4
        assert begun(rig).answer().status == 429
        for side in old_upstreams:
            side.send(reply())
        assert first.answer().status == second.answer().status == 200
        uses = [entry.uses[0] for entry in rig.entries()]
        assert {use.generation for use in uses} == {1}
        rig.clerk.books.settle(uses)
        assert rig.clerk.books.spent[DAILY] == 0
        rig.pass_time(0.5)
        assert not rig.parts._book._void


def test_whoever_waits_during_a_reset_gets_of_the_new_units() -> None:
    with rigged({"k": key_with(daily(1, 1))}) as rig:
        finished(rig)
        rig.clerk.held = {Sync}
        waiting = begun(rig)
        rig.clerk.books.reset(DAILY)
        rig.publish("counter", *DAILY)
        rig.clerk.held = set()
        rig.settle()
        assert rig.requests_upstream() == 2
        assert waiting.unread == b""


def test_a_lowered_limit_takes_back_what_was_leased() -> None:
    with rigged({"k": key_with(daily(1, 100))}) as rig:
        finished(rig, 3)
        rig.clerk.keys["k"] = key_with(daily(1, 3))
        rig.clerk.amounts_changed()
        rig.publish("limit", 1)
        rig.publish("key", 1)
        assert lease_of(rig).available == 0
        refused = begun(rig).answer()
        assert refused.status == 429
        assert refused.headers["x-ratelimit-limit-requests"] == "3"


@pytest.mark.parametrize("first", [0, None])
def test_a_limit_that_is_lifted_or_set_holds_from_the_next_call_on(first: int | None) -> None:
    second = None if first == 0 else 0
    with rigged({"k": key_with(daily(1, first))}) as rig:
        for amount in (first, second):
            rig.clerk.keys["k"] = key_with(daily(1, amount))
            rig.clerk.amounts_changed()
            rig.publish("limit", 1)
            rig.publish("key", 1)
            client = begun(rig)
            if amount is None:
                with pytest.raises(Incomplete):
                    client.answer()
            else:
                assert client.answer().status == 429


def test_a_new_clerk_is_told_of_every_lease() -> None:
    """Totals, so that it does not matter what the last one had heard."""
    keys = {name: key_with(daily(number, 90), id=number) for number, name in enumerate("abc", 1)}
    with rigged(keys) as rig:
        for name in keys:
            rig.client().send(chat(key=name))
        rig.clerk.held = {Sync}
        for _ in range(30):
            rig.client().send(chat(key="b"))
        rig.clerk.held = set()
        before = rig.requests_upstream()
        rig.reconnect()
        told = syncs(rig)[-1].asks
        assert [(ask.limit_id, ask.granted) for ask in told] == [(1, 22), (2, 22), (3, 22)]
        assert rig.requests_upstream() == before + 30 - 21


def test_calls_that_waited_for_a_lost_clerk_are_asked_for_again() -> None:
    with rigged({"k": key_with(daily(1, 9))}) as rig:
        finished(rig)
        rig.pass_time(2)
        rig.clerk.is_away = True
        client = begun(rig)
        rig.pass_time(3, is_clerk_alive=False)
        with pytest.raises(Incomplete):
            client.answer()
        rig.reconnect()
        assert rig.requests_upstream() == 2


def test_what_waits_longer_than_five_seconds_is_told_that_the_store_is_away() -> None:
    with rigged({"k": key_with(daily(1, 9))}) as rig:
        rig.clerk.held = {Sync}
        client = begun(rig)
        rig.pass_time(6)
        answer = client.answer()
        assert (answer.status, answer.code) == (503, "store_unavailable")
        rig.clerk.held = set()
        rig.settle()
        finished(rig)


def test_units_go_home_when_the_worker_ends() -> None:
    with rigged({"k": key_with(daily(1, 100))}) as rig:
        finished(rig)
        rig.parts._book.give_back_all()
        rig.settle()
        rig.clerk.books.settle(rig.entries()[0].uses)
        assert rig.clerk.books.used(DAILY) == 1


def test_every_admitted_unit_is_in_the_slab_before_the_upstream_hears_of_it() -> None:
    """A successor of this process must find what was in flight."""
    with rigged({"k": key_with(daily(1, 100))}) as rig:
        rig.connects = "held"
        begun(rig)
        counts = rig.parts._slab.counts
        index = lease_of(rig).slab_index
        assert (counts[index - 1], counts[index]) == (lease_of(rig).lease_id, 1)
        begun(rig)
        assert counts[index] == 2
