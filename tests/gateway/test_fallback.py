"""Several providers as one: who is asked first, who stands in, and who is left alone."""

from collections import Counter

import msgspec

from tallygate.core.breaker import FAILURES_TO_OPEN, PAUSE_MS
from tallygate.core.ports import CredentialUse
from tallygate.core.provider import Provider
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import DONE, LAST_CHUNK, STREAM_HEAD, chat, chunked, reply, word
from tests.gateway.rig import Rig, provider, rigged

MANY = {"k": key_with(daily(1, 9_999))}


def asked(rig: Rig, *statuses: int, model: str = "m") -> list[str]:
    """Who was asked for one call, each answering with the next of these statuses."""
    client = rig.client()
    client.send(chat(model=model))
    for status in statuses:
        busy = [side for side in rig.upstreams if side.protocol.asker is not None]
        assert len(busy) == 1
        busy[0].send(reply(status, b"{}", connection="close"))
    assert client.answer().status == statuses[-1]
    entry = rig.entries()[-1]
    return [one.provider for one in entry.attempts] or [entry.provider]


def test_the_best_priority_is_asked_first_and_the_next_one_when_it_fails() -> None:
    with rigged(MANY, provider("second", priority=1), provider("first")) as rig:
        assert asked(rig, 200) == ["first"]
        assert asked(rig, 500, 200) == ["first", "second"]
        assert asked(rig, 429, 200) == ["first", "second"]
        assert asked(rig, 400) == ["first"]


def test_equal_priorities_share_by_weight() -> None:
    with rigged(MANY, provider("a", weight=3), provider("b")) as rig:
        assert Counter(asked(rig, 200)[0] for _ in range(20)) == {"a": 15, "b": 5}


def test_a_model_is_asked_for_by_the_name_that_each_provider_calls_it() -> None:
    first = provider("first", aliases={"m": "first-m"})
    second = provider("second", aliases={"m": "second-m"}, priority=1)
    with rigged(MANY, first, second) as rig:
        client = rig.client()
        client.send(chat())
        assert b'"model":"first-m"' in rig.upstream.transport.written.replace(b" ", b"")
        rig.upstream.send(reply(500))
        assert b'"model":"second-m"' in rig.upstream.transport.written.replace(b" ", b"")
        rig.upstream.send(reply())
        assert client.answer().status == 200
        assert rig.entries()[0].model == "m"


def fall(rig: Rig, times: int = FAILURES_TO_OPEN) -> None:
    for _ in range(times):
        assert asked(rig, 500, 200) == ["first", "second"]


def test_who_keeps_failing_is_left_alone_then_tried_once_then_trusted_again() -> None:
    with rigged(MANY, provider("first"), provider("second", priority=1)) as rig:
        fall(rig)
        assert asked(rig, 200) == ["second"]
        rig.pass_time(PAUSE_MS / 1000)
        trial = rig.client()
        trial.send(chat())
        assert asked_now(rig) == ["first"]
        other = rig.client()
        other.send(chat())
        assert asked_now(rig) == ["first", "second"]
        for side in [one for one in rig.upstreams if one.protocol.asker is not None]:
            side.send(reply(connection="close"))
        assert trial.answer().status == other.answer().status == 200
        assert asked(rig, 200) == ["first"]


def asked_now(rig: Rig) -> list[str]:
    """Whose connections are busy."""
    busy = [side for side in rig.upstreams if side.protocol.asker is not None]
    hosts = [side.transport.written.split(b"host: ")[-1] for side in busy]
    return [host.partition(b".test")[0].decode() for host in hosts]


def test_nobody_waits_for_a_connection_to_who_is_ill_while_another_is_well() -> None:
    """One that swallows connections would take a client's connect time-out at every trial."""
    with rigged(MANY, provider("first"), provider("second", priority=1)) as rig:
        fall(rig)
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply())  # its connection is kept
        rig.connects = "held"
        rig.pass_time(PAUSE_MS / 1000)
        for _ in range(3):
            client.send(chat())
            assert asked_now(rig) == ["second"]
            rig.upstream.send(reply())
        rig.connects = "refused"
        rig.settle()
        rig.connects = "at once"
        rig.pass_time(PAUSE_MS / 1000)
        client.send(chat())
        assert asked_now(rig) == ["second"], "that was a trial, and the next one comes later"
        rig.upstream.send(reply())
        rig.pass_time(PAUSE_MS / 1000)
        assert asked(rig, 200) == ["first"]


def test_a_trial_that_fails_costs_its_client_nothing() -> None:
    with rigged(MANY, provider("first"), provider("second", priority=1)) as rig:
        fall(rig)
        rig.pass_time(PAUSE_MS / 1000)
        assert asked(rig, 500, 200) == ["first", "second"]
        assert asked(rig, 200) == ["second"]


def test_a_trial_of_who_would_not_be_asked_in_health_costs_nobody_anything() -> None:
    """While the better one is well, an ill stand-in is not needed, and need not be tried."""
    with rigged(MANY, provider("first"), provider("second", priority=1)) as rig:
        for _ in range(FAILURES_TO_OPEN):
            assert asked(rig, 500, 500) == ["first", "second"]
        rig.pass_time(PAUSE_MS / 1000)
        assert asked(rig, 200) == ["first"]
        rig.pass_time(PAUSE_MS / 1000)
        for _ in range(5):
            assert asked(rig, 200) == ["first"]
        assert asked(rig, 500, 200) == ["first", "second"]


def test_a_trial_comes_in_its_turn_by_weight() -> None:
    with rigged(MANY, provider("a", weight=3), provider("b")) as rig:
        fallen = 0
        while fallen < FAILURES_TO_OPEN:
            client = rig.client()
            client.send(chat())
            is_b = asked_now(rig) == ["b"]
            fallen += is_b
            rig.upstream.send(reply(500 if is_b else 200, connection="close"))
            if is_b:
                rig.upstream.send(reply(connection="close"))
            assert client.answer().status == 200
        rig.pass_time(PAUSE_MS / 1000)
        turns = [asked(rig, 200)[0] for _ in range(4)]
        assert sorted(turns) == ["a", "a", "a", "b"]


def test_a_trial_is_never_the_last_try_while_somebody_is_well() -> None:
    """Should it fail, nobody would be left to answer."""
    with rigged(MANY, provider("first"), provider("second", priority=1), attempts_max=1) as rig:
        for _ in range(FAILURES_TO_OPEN):
            asked(rig, 500)
        rig.pass_time(PAUSE_MS / 1000)
        assert [asked(rig, 200) for _ in range(5)] == [["second"]] * 5


def cut(rig: Rig) -> None:
    """A stream that begins well and is cut."""
    client = rig.client()
    client.send(chat(more={"stream": True}))
    rig.upstream.send(STREAM_HEAD + chunked(word()))
    rig.upstream.hang_up()
    assert client.answer().is_cut


def test_who_cuts_every_answer_in_the_middle_is_left_alone() -> None:
    """That an answer began says little: what counts is that it came to its end."""
    with rigged(MANY, provider("first"), provider("second", priority=1)) as rig:
        for _ in range(FAILURES_TO_OPEN):
            cut(rig)
        assert asked(rig, 200) == ["second"]


def test_a_stream_that_comes_to_its_end_forgives_the_ones_that_were_cut() -> None:
    with rigged(MANY, provider("first"), provider("second", priority=1)) as rig:
        for _ in range(FAILURES_TO_OPEN):
            for _ in range(FAILURES_TO_OPEN - 1):
                cut(rig)
            client = rig.client()
            client.send(chat(more={"stream": True}))
            rig.upstream.send(STREAM_HEAD + chunked(word(), DONE) + LAST_CHUNK)
            assert not client.answer().is_cut
            rig.upstream.hang_up()
        assert asked(rig, 200) == ["first"]


def test_when_everybody_is_ill_somebody_is_asked_all_the_same() -> None:
    """A refusal would be certain, an answer is only unlikely."""
    with rigged(MANY, provider("first"), provider("second", priority=1)) as rig:
        for _ in range(FAILURES_TO_OPEN):
            assert asked(rig, 500, 502) == ["first", "second"]
        assert len(asked(rig, 500, 500)) == 2


def test_a_single_provider_is_asked_however_ill_it_is() -> None:
    with rigged(MANY) as rig:
        for _ in range(FAILURES_TO_OPEN * 2):
            asked(rig, 500)
        assert asked(rig, 200) == ["p0"]


def test_refusals_of_the_caller_do_not_speak_against_a_provider() -> None:
    with rigged(MANY, provider("first"), provider("second", priority=1)) as rig:
        for _ in range(FAILURES_TO_OPEN * 2):
            assert asked(rig, 429, 200) == ["first", "second"]
            assert asked(rig, 404) == ["first"]
        assert asked(rig, 200) == ["first"]


def test_nothing_is_tried_again_once_the_client_has_bytes() -> None:
    with rigged(MANY, provider("first"), provider("second", priority=1)) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}))
        rig.upstream.send(STREAM_HEAD + chunked(word()))
        rig.upstream.hang_up()
        assert client.answer().is_cut
        assert len(rig.upstreams) == 1


def test_changed_providers_serve_the_next_call() -> None:
    """On a connection whose head was planned before, too."""
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply())
        assert client.answer().status == 200
        rig.reload(provider(secret="sk-new"))
        client.send(chat())
        assert rig.upstream.transport.written.count(b"Bearer sk-new") == 1
        rig.upstream.send(reply())
        assert client.answer().status == 200
        rig.reload(provider("other"))
        client.send(chat())
        assert b"host: other.test\r\n" in rig.upstream.transport.written


def pooled(number: int, **more: object) -> Provider:
    """A provider as it stands for one credential of its pool."""
    one = provider(f"p#{number}", **more)
    return msgspec.structs.replace(
        one, parent="p", credential_id=number, secret=f"s{number}", pool="cards"
    )


def test_a_refused_credential_gives_way_to_another_of_its_pool() -> None:
    """One dead secret among several is nobody's trouble but its keeper's, who is told."""
    with rigged(MANY, pooled(1), pooled(2)) as rig:
        assert asked(rig, 401, 200) == ["p#1", "p#2"]
        assert rig.entries()[-1].provider == "p"
        notes = rig.gateway.credential_use
        assert notes.used == {1, 2} and notes.refused == {1}
        told: list[object] = []
        notes.tell(told.append)
        notes.tell(told.append)
        assert told == [CredentialUse([1, 2], [1])]


def test_a_credential_that_is_refused_again_and_again_is_left_alone() -> None:
    """Until its keeper has renewed it or set it aside, requests should not pay for it."""
    with rigged(MANY, pooled(1), pooled(2)) as rig:
        for _ in range(2 * FAILURES_TO_OPEN):
            client = rig.client()
            client.send(chat())
            while busy := [one for one in rig.upstreams if one.protocol.asker is not None]:
                is_first = b"Bearer s1" in busy[0].transport.written
                busy[0].send(reply(401 if is_first else 200, b"{}", connection="close"))
            assert client.answer().status == 200
        rig.gateway.credential_use.used.clear()
        assert asked(rig, 200) == ["p"]
        assert rig.gateway.credential_use.used == {2}


def test_the_whole_pool_is_one_provider_to_whoever_asks() -> None:
    """`provider/model` names the configured one, and its models are listed once."""
    with rigged(MANY, pooled(1), pooled(2), provider("other", models=("x",))) as rig:
        assert asked(rig, 200, model="p/m") == ["p"]
        assert asked(rig, 200, model="x") == ["other"]
