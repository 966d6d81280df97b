"""Keys as a worker knows them: asked for once, forgotten on the feed's word."""

import pytest

from tallygate.core.ports import LookUp, Sync
from tallygate.gateway import known_keys
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import Incomplete, chat, reply, request
from tests.gateway.rig import Rig, rigged

MANY = key_with(daily(1, 99))


def look_ups(rig: Rig) -> int:
    return len(rig.clerk.sent(LookUp))


def is_let_through(rig: Rig, key: str = "k") -> bool:
    client = rig.client()
    before = rig.requests_upstream()
    client.send(chat(key=key))
    is_forwarded = rig.requests_upstream() > before
    client.hang_up()
    return is_forwarded


def test_requests_with_one_new_key_share_its_look_up() -> None:
    """A client that starts with a hundred connections costs the store one question."""
    with rigged({"k": MANY}) as rig:
        rig.clerk.held = {LookUp}
        for number in range(9):
            rig.client().send(chat(x_number=str(number)))
        assert look_ups(rig) == 1
        rig.clerk.held = set()
        rig.settle()
        assert rig.requests_upstream() == 9
        assert is_let_through(rig)
        assert look_ups(rig) == 1


def test_who_waits_for_a_key_is_bounded_and_the_rest_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long the clerk is away, and however many keys are guessed meanwhile."""
    monkeypatch.setattr(known_keys, "SEEKERS_MAX", 3)
    with rigged({"k": MANY}) as rig:
        rig.clerk.is_away = True
        waiting = [rig.client() for _ in range(3)]
        for number, client in enumerate(waiting):
            client.send(chat(key=f"roc_{number}"))
            assert client.unread == b""
        for ask in (chat(), request("GET", "/v1/models")):
            refused = rig.client()
            refused.send(ask)
            answer = refused.answer()
            assert (answer.status, answer.code) == (503, "store_unavailable")
        rig.reconnect()
        assert [client.answer().status for client in waiting] == [401] * 3
        assert is_let_through(rig)


def test_an_unknown_key_is_asked_for_once_in_a_while() -> None:
    """Guessing costs the store nothing."""
    with rigged({}, unknown_key_cache_s=5) as rig:
        for _ in range(3):
            assert rig.client().ask(key="roc_x").status == 401
        assert look_ups(rig) == 1
        rig.pass_time(6)
        assert rig.client().ask(key="roc_x").status == 401
        assert look_ups(rig) == 2


def test_a_key_that_is_created_is_known_at_once_although_it_was_guessed_before() -> None:
    with rigged({}) as rig:
        assert rig.client().ask().status == 401
        rig.clerk.keys["k"] = MANY
        rig.clerk.amounts_changed()
        rig.publish("key", MANY.id)
        assert is_let_through(rig)


def test_a_key_that_is_created_during_its_look_up_is_not_remembered_as_unknown() -> None:
    """The answer was on its way when the word of the new key overtook it."""
    with rigged({}) as rig:
        rig.clerk.held = {LookUp}
        client = rig.client()
        client.send(chat())
        stale = rig.clerk.waiting.pop()
        rig.publish("key", MANY.id)
        rig.parts.from_clerk(rig.clerk._answer(stale))
        rig.clerk.keys["k"] = MANY
        rig.clerk.amounts_changed()
        rig.clerk.held = set()
        rig.settle()
        assert rig.requests_upstream() == 1


def test_a_key_that_is_revoked_during_its_look_up_is_asked_for_again() -> None:
    """The answer may be older than the revocation."""
    with rigged({"k": MANY}) as rig:
        rig.clerk.held = {LookUp}
        client = rig.client()
        client.send(chat())
        before = rig.clerk._answer(rig.clerk.waiting.pop())
        rig.clerk.keys["k"] = key_with(daily(1, 99), is_active=False)
        rig.publish("key", MANY.id)
        rig.parts.from_clerk(before)
        rig.clerk.held = set()
        rig.settle()
        assert client.answer().code == "key_inactive"
        assert rig.requests_upstream() == 0


@pytest.mark.parametrize("kind", ["key", "flush"])
def test_a_revoked_key_stops_with_the_feeds_word(kind: str) -> None:
    """On connections, too, whose head was recognised a moment ago."""
    with rigged({"k": MANY}) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply())
        assert client.answer().status == 200
        del rig.clerk.keys["k"]
        rig.publish(kind, MANY.id)
        assert client.ask().status == 401
        assert rig.requests_upstream() == 1


def test_a_request_that_waits_for_units_is_not_let_through_once_its_key_is_revoked() -> None:
    """It was recognised before; what counts is the moment it is let through."""
    with rigged({"k": MANY}) as rig:
        rig.clerk.held = {Sync}
        client = rig.client()
        client.send(chat())
        del rig.clerk.keys["k"]
        rig.publish("key", MANY.id)
        rig.clerk.held = set()
        rig.settle()
        assert client.answer().status == 401
        assert rig.requests_upstream() == 0


def test_the_word_about_another_key_changes_nothing() -> None:
    with rigged({"k": MANY}) as rig:
        assert is_let_through(rig)
        rig.publish("key", 77)
        assert is_let_through(rig)
        assert look_ups(rig) == 1


def test_both_secrets_of_a_rotated_key_are_forgotten_together() -> None:
    with rigged({"old": MANY, "new": MANY}) as rig:
        assert is_let_through(rig, "old")
        assert is_let_through(rig, "new")
        rig.clerk.keys.clear()
        rig.publish("key", MANY.id)
        assert not is_let_through(rig, "old")
        assert not is_let_through(rig, "new")


def test_no_more_keys_are_remembered_than_the_setting_says() -> None:
    """The oldest goes, and is found afresh."""
    keys = {f"k{number}": key_with(id=number) for number in range(1, 6)}
    with rigged(keys, key_cache_max=3) as rig:
        for name in keys:
            assert is_let_through(rig, name)
        assert len(rig.gateway.keys) == 3
        assert is_let_through(rig, "k5")
        assert look_ups(rig) == 5
        assert is_let_through(rig, "k1")
        assert look_ups(rig) == 6


def test_look_ups_that_a_lost_clerk_took_along_are_made_again() -> None:
    with rigged({"k": MANY}) as rig:
        rig.clerk.is_away = True
        client = rig.client()
        client.send(chat())
        rig.pass_time(2)
        with pytest.raises(Incomplete):
            client.answer()
        rig.reconnect()
        assert rig.requests_upstream() == 1


def test_known_keys_are_kept_over_a_reconnect_that_missed_nothing() -> None:
    with rigged({"k": MANY}) as rig:
        assert is_let_through(rig)
        rig.reconnect()
        assert is_let_through(rig)
        assert look_ups(rig) == 1
        rig.welcome.feed_seq += 1
        rig.reconnect()
        assert is_let_through(rig)
        assert look_ups(rig) == 2


def test_a_store_that_is_away_is_no_verdict_about_a_key() -> None:
    """503, so that nobody throws away a good key; and it is asked for again."""
    with rigged({"k": MANY}) as rig:
        rig.clerk.is_store_available = False
        answer = rig.client().ask()
        assert (answer.status, answer.code) == (503, "store_unavailable")
        assert answer.headers["retry-after"] == "1"
        rig.clerk.is_store_available = True
        assert is_let_through(rig)


def test_a_store_that_is_away_is_never_over_the_limit() -> None:
    """Leased units go on; without any the answer is 503, which clients retry, and not 429."""
    with rigged({"k": MANY}) as rig:
        assert is_let_through(rig)
        rig.clerk.is_store_available = False
        statuses = []
        for _ in range(40):
            client = rig.client()
            before = rig.requests_upstream()
            client.send(chat())
            statuses.append(0 if rig.requests_upstream() > before else client.answer().status)
        assert set(statuses) == {0, 503}
        assert statuses == sorted(statuses)


@pytest.mark.parametrize(
    ("revocation", "quiet_s", "status"),
    [("normal", 58, 0), ("normal", 62, 503), ("strict", 0.75, 0), ("strict", 1.5, 503)],
)
def test_keys_are_good_for_as_long_as_the_clerk_is_heard_of(
    revocation: str, quiet_s: float, status: int
) -> None:
    """Whoever cannot hear of a revocation must not go on for ever; strict: not even a second."""
    with rigged({"k": MANY}, revocation=revocation) as rig:
        rig.tick()
        assert is_let_through(rig)
        rig.pass_time(quiet_s, is_clerk_alive=False)
        client = rig.client()
        before = rig.requests_upstream()
        client.send(chat())
        assert rig.requests_upstream() - before == (status == 0)
        for request_ in (chat(), request("GET", "/v1/models")):
            if status:
                client = rig.client()
                client.send(request_)
                assert client.answer().code == "store_unavailable"
        rig.tick()
        rig.pass_time(0.25)
        assert is_let_through(rig)


def test_a_clerk_without_its_store_does_not_count_as_heard_of() -> None:
    """It lives, but could not have read the feed."""
    with rigged({"k": MANY}, key_stale_s=5) as rig:
        assert is_let_through(rig)
        rig.clerk.is_store_available = False
        rig.pass_time(6)
        assert rig.client().ask().code == "store_unavailable"
        client = rig.client()
        client.send(request("GET", "/readyz"))
        assert client.answer().json == {"ok": False, "store": False, "journal": True}


def test_an_expired_key_stops_on_the_second() -> None:
    """By the store's clock; nobody has to say so."""
    with rigged({"k": key_with(daily(1, 9), expires_ms=1_767_268_800_000 + 2_000)}) as rig:
        assert is_let_through(rig)
        rig.pass_time(2)
        assert rig.client().ask().code == "key_expired"
