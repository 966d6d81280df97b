"""Clients that leave, deadlines that pass and answers that come too late, at every phase of a call.

What is over stays over: no second answer on a connection that has moved on, no upstream connection
that is closed under another request, no unit that nobody gives back.
"""

import pytest

from tallygate.core.claims import Claim
from tallygate.core.entry import Outcome
from tallygate.core.ports import Key, LookUp, Sync
from tallygate.core.provider import Deadlines
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import (
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    USAGE_CHUNK,
    chat,
    chunked,
    reply,
    request,
    word,
)
from tests.gateway.rig import Rig, Side, provider, rigged

FEW = {"k": key_with(daily(1, 2))}
SHORT = Deadlines(connect_ms=1_000, first_byte_ms=2_000, between_bytes_ms=3_000, total_ms=60_000)


def units_left(rig: Rig) -> int:
    """How many more calls are let through, at most four."""
    let_through = 0
    for _ in range(4):
        client = rig.client()
        before = rig.requests_upstream()
        client.send(chat())
        let_through += rig.requests_upstream() - before
        client.hang_up()
    return let_through


def assert_nothing_runs(rig: Rig) -> None:
    assert not rig.gateway.running
    assert rig.parts._book._leases, "there is a lease to look at"
    assert {lease.reserved for lease in rig.parts._book._leases.values()} == {0}


@pytest.mark.parametrize("waits_for", [LookUp, Sync])
def test_an_answer_of_the_clerk_that_comes_too_late_starts_nothing(waits_for: type) -> None:
    """The client was refused after five seconds; its connection serves the next request now."""
    limit = daily(1, 9)
    with rigged({"k": key_with(limit), "other": key_with(limit, id=2)}) as rig:
        if waits_for is LookUp:
            rig.client().send(chat(key="other"))
        client = rig.client()
        rig.clerk.held = {waits_for}
        client.send(chat())
        rig.pass_time(6)
        assert client.answer().code == "store_unavailable"
        if waits_for is LookUp:
            rig.client().send(chat(key="other"))  # there are units when the key is found at last
        before = rig.requests_upstream()
        rig.clerk.held = set()
        rig.settle()
        assert rig.requests_upstream() == before
        client.send(request("GET", "/healthz"))
        assert client.answer().status == 200
        assert client.unread == b""


@pytest.mark.parametrize("waits_for", [LookUp, Sync, Claim])
def test_a_client_that_leaves_while_the_clerk_is_asked_costs_nothing(waits_for: type) -> None:
    with rigged(FEW) as rig:
        rig.clerk.held = {waits_for}
        client = rig.client()
        client.send(chat(idempotency_key="i" if waits_for is Claim else ""))
        client.hang_up()
        rig.clerk.held = set()
        rig.settle()
        assert rig.requests_upstream() == 0
        assert rig.entries() == []
        assert not rig.gateway.running


def test_a_client_that_leaves_before_the_upstream_is_connected_costs_nothing() -> None:
    """Nothing was sent yet, so nothing was used."""
    with rigged(FEW) as rig:
        rig.connects = "held"
        client = rig.client()
        client.send(chat())
        client.hang_up()
        rig.connects = "at once"
        rig.settle()
        assert rig.requests_upstream() == 0
        assert rig.entries() == []
        assert_nothing_runs(rig)


def test_a_client_that_leaves_before_the_first_byte_pays_for_what_comes() -> None:
    """The provider works on it already, and will charge for it."""
    with rigged(FEW) as rig:
        client = rig.client()
        client.send(chat())
        client.hang_up()
        rig.upstream.send(reply())
        [entry] = rig.entries()
        assert (entry.outcome, entry.is_counted) == (Outcome.CLIENT_GONE, True)
        assert entry.counts == {"input_tokens": 11, "output_tokens": 7}
        assert_nothing_runs(rig)


def test_a_client_that_leaves_is_counted_when_nobody_waits_for_the_answer_any_longer() -> None:
    """It was let through and no provider failed: hanging up early is not a way to call for free.

    Nor does it speak against the provider's health.
    """
    with rigged(FEW, client_gone_drain_s=5) as rig:
        client = rig.client()
        client.send(chat())
        client.hang_up()
        rig.pass_time(6)
        [entry] = rig.entries()
        assert (entry.outcome, entry.is_counted) == (Outcome.CLIENT_GONE, True)
        assert entry.uses[0].spent == 1
        assert rig.upstream.transport.was_aborted
        assert rig.gateway.upstreams.all()[0].breaker.failures == 0
        assert_nothing_runs(rig)


def test_a_first_byte_timeout_is_the_providers_fault_even_when_the_client_has_left() -> None:
    with rigged(FEW, provider(deadlines=SHORT)) as rig:
        client = rig.client()
        client.send(chat())
        client.hang_up()
        rig.pass_time(3)
        [entry] = rig.entries()
        assert not entry.is_counted
        assert_nothing_runs(rig)


def test_a_key_without_any_limit_gets_one_answer_when_the_provider_is_late() -> None:
    """It holds no units, which does not mean that it was never forwarded."""
    with rigged({"k": key_with()}, provider(deadlines=SHORT)) as rig:
        client = rig.client()
        client.send(chat())
        rig.pass_time(3)
        assert client.answer().code == "upstream_timeout"
        assert rig.upstream.transport.was_aborted
        assert len(rig.entries()) == 1
        assert not rig.gateway.running


def answered_once_then_retrying(rig: Rig) -> tuple[Side, Side]:
    """One client's call was refused by p0, which stays connected, and waits for p1."""
    first = rig.client()
    first.send(chat())
    rig.connects = "held"
    rig.upstream.send(reply(503))
    other = rig.client()
    other.send(chat())
    return first, other


TWO = (provider("p0", deadlines=SHORT), provider("p1", priority=1, deadlines=SHORT))


def test_a_retry_that_cannot_connect_leaves_others_connections_alone() -> None:
    """The first provider's connection is back in the pool, and another request is on it."""
    with rigged({"k": key_with(daily(1, 9))}, *TWO, attempts_max=2) as rig:
        first, other = answered_once_then_retrying(rig)
        rig.pass_time(1.5)
        assert first.answer().status == 502
        assert not rig.upstreams[0].transport.was_aborted
        rig.upstreams[0].send(reply())
        assert other.answer().status == 200
        assert_nothing_runs(rig)


def test_a_client_that_leaves_during_a_retry_is_not_forwarded_again() -> None:
    with rigged({"k": key_with(daily(1, 9))}, *TWO) as rig:
        first, other = answered_once_then_retrying(rig)
        first.hang_up()
        rig.connects = "at once"
        rig.settle()
        assert rig.requests_upstream() == 2  # the refused one, and the other client's
        rig.upstreams[0].send(reply())
        assert other.answer().status == 200
        assert_nothing_runs(rig)


def test_a_provider_that_was_deleted_while_a_call_waited_is_no_catastrophe() -> None:
    """The call was routed before; it ends in the ordinary way and gives its unit back."""
    with rigged(FEW) as rig:
        rig.clerk.held = {Sync}
        client = rig.client()
        client.send(chat())
        rig.reload(provider("p9"))
        rig.clerk.held = set()
        rig.connects = "refused"
        rig.settle()
        assert client.answer().status == 502
        assert_nothing_runs(rig)


@pytest.mark.parametrize("is_stream", [False, True])
def test_deadlines_that_pass_while_the_journal_is_slow_change_nothing(is_stream: bool) -> None:
    """The answer is complete and only waits to be on record."""
    limits = daily(1, 9)
    with rigged({"k": key_with(limits)}, *TWO, durability="power", client_gone_drain_s=1) as rig:
        client = rig.client()
        client.send(chat(more={"stream": is_stream}))
        if is_stream:
            rig.upstream.send(STREAM_HEAD + chunked(word()))
            rig.upstream.send(chunked(USAGE_CHUNK, DONE) + LAST_CHUNK)
        else:
            rig.upstream.send(reply())
        rig.pass_time(10)
        rig.tasks.run()
        rig.settle()
        assert client.answer().status == 200
        assert client.unread == b""
        assert len(rig.entries()) == 1
        assert len(rig.upstreams) == 1
        assert not rig.upstream.transport.was_aborted
        assert_nothing_runs(rig)


def test_a_journal_that_fails_leaves_others_upstream_connections_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer was whole, its connection is in the pool again and may serve somebody else."""
    with rigged({"k": key_with(daily(1, 9))}, durability="power") as rig:
        first, second = rig.client(), rig.client()
        first.send(chat())
        rig.upstream.send(reply())
        second.send(chat())
        assert len(rig.upstreams) == 1
        monkeypatch.setattr(rig.parts._recorder.journal, "sync", _fail)
        rig.tasks.run()
        rig.settle()
        monkeypatch.undo()
        assert first.transport.was_aborted
        assert not rig.upstream.transport.was_aborted


def _fail() -> None:
    raise OSError("the disk is gone")


@pytest.mark.parametrize("phase", ["relaying", "recording", "finishing"])
def test_a_client_that_leaves_a_stream_at_any_phase_is_recorded_once(phase: str) -> None:
    keys = {"k": key_with(daily(1, 9))}
    with rigged(keys, durability="power" if phase == "recording" else "process") as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}))
        rig.upstream.send(STREAM_HEAD + chunked(word()))
        if phase != "relaying":
            rig.upstream.send(chunked(USAGE_CHUNK, DONE))
        client.hang_up()
        if not rig.upstream.transport.is_lost:
            rig.upstream.send(chunked(USAGE_CHUNK, DONE) if phase == "relaying" else b"")
        rig.tasks.run()
        rig.settle()
        rig.pass_time(1)
        if not rig.upstream.transport.is_lost:
            rig.upstream.send(LAST_CHUNK)
        [entry] = rig.entries()
        assert entry.counts == {"input_tokens": 11, "output_tokens": 7}
        assert entry.outcome == (Outcome.CLIENT_GONE if phase == "relaying" else Outcome.OK)
        assert_nothing_runs(rig)


def test_a_client_that_left_holds_an_upstream_no_longer_than_the_bounds() -> None:
    """By time, and by bytes."""
    for bound in ({"client_gone_drain_s": 2}, {"client_gone_drain_bytes_max": 100}):
        with rigged({"k": key_with(daily(1, 9))}, **bound) as rig:
            client = rig.client()
            client.send(chat(more={"stream": True}))
            rig.upstream.send(STREAM_HEAD + chunked(word()))
            client.hang_up()
            assert rig.entries() == []
            for _ in range(12):
                if not rig.upstream.transport.is_lost:
                    rig.upstream.send(chunked(word()))
                rig.pass_time(0.25)
            [entry] = rig.entries()
            assert rig.upstream.transport.was_aborted
            assert (entry.outcome, entry.source) == (Outcome.CLIENT_GONE, "estimated")
            assert entry.is_counted
            assert_nothing_runs(rig)


def keys_of_two_units() -> dict[str, Key]:
    return {"k": key_with(daily(1, 2))}


def test_pipelined_calls_are_answered_in_order_and_counted_one_by_one() -> None:
    """The second begins only when the first has ended."""
    with rigged(keys_of_two_units()) as rig:
        client = rig.client()
        client.send(chat() * 3)
        assert rig.requests_upstream() == 1
        rig.upstream.send(reply(headers="one"))
        rig.upstream.send(reply(201))
        assert [client.answer().status for _ in range(3)] == [200, 201, 429]
        assert units_left(rig) == 0


def test_the_late_end_of_an_upstream_disturbs_nobody() -> None:
    """It broke off after its terminal event: the client has all it needs, and the next call."""
    with rigged({"k": key_with(daily(1, 9))}) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}))
        rig.upstream.send(STREAM_HEAD + chunked(word(), USAGE_CHUNK, DONE))
        rig.upstream.hang_up()
        answer = client.answer()
        assert answer.body.endswith(DONE)
        assert not answer.is_cut
        client.send(chat())
        rig.upstream.send(reply())
        assert client.answer().status == 200
        assert [entry.outcome for entry in rig.entries()] == [Outcome.OK, Outcome.OK]
