"""Credentials of a pool at private services: shown where they belong, and given up one by one."""

from typing import Any

import pytest

from tallygate.core.routes import Deadlines, HeaderRules, PoolUse, with_parameter
from tests.gateway.exchange_text import reply, request
from tests.gateway.rig import Rig, Side
from tests.gateway.test_routes import CHUNKED, asked, fields_of, route, served

MEMBERS = ((1, "one-s3cret"), (2, "two-s3cret"), (3, "three-s3cret"))
HEADER = PoolUse("cards", "x-token", "T {secret}", members=MEMBERS)


def use(*members: tuple[int, str], **changes: Any) -> PoolUse:
    values = {"pool": "cards", "header": "x-token", "template": "T {secret}"}
    return PoolUse(**(values | changes), members=members)


def gated(*members: tuple[int, str], **changes: Any) -> Any:
    return served(route(credentials=use(*(members or MEMBERS)), **changes))


def shown(rig: Rig, number: int = -1) -> str:
    """The credential of the last request that this backend connection got."""
    sent = rig.upstreams[number].transport.written
    last = sent.rpartition(b" HTTP/1.1\r\n")
    return fields_of(last[2].join((b"GET / HTTP/1.1\r\n", b"")))["x-token"]


def used(rig: Rig) -> tuple[set[int], set[int]]:
    notes = rig.gateway.credential_use
    return notes.used, notes.refused


def test_the_secret_takes_the_place_of_what_the_client_sent() -> None:
    """A client that sent its own under that name would choose the credential."""
    with gated((1, "s3cret")) as rig:
        asked(rig, x_token="mine")
        sent = rig.upstream.transport.written
        assert fields_of(sent)["x-token"] == "T s3cret" and sent.count(b"x-token") == 1
        assert used(rig) == ({1}, set())


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("/a", "/a?key=a%2Fb"),
        ("/a?", "/a?key=a%2Fb"),
        ("/a?x=1&key=mine&y", "/a?x=1&y&key=a%2Fb"),
        ("/a?%6bey=mine", "/a?key=a%2Fb"),
        ("/a?k%65y=mine&key=&key", "/a?key=a%2Fb"),
        ("/a?Key=1&keyed=2", "/a?Key=1&keyed=2&key=a%2Fb"),
    ],
)
def test_in_a_query_it_is_quoted_and_the_only_one_of_its_name(target: str, wanted: str) -> None:
    """However the client spells the name: servers decode it."""
    assert with_parameter(target, "key", "a%2Fb") == wanted


def test_a_query_reaches_the_backend_with_the_secret() -> None:
    pool = PoolUse("cards", parameter="access_token", members=((4, "s3 cret&x"),))
    with served(route(credentials=pool)) as rig:
        asked(rig, path="/svc/x?a=1&access_token=mine")
        sent = rig.upstream.transport.written
        assert sent.startswith(b"GET /svc/x?a=1&access_token=s3%20cret%26x HTTP/1.1\r\n")


def test_credentials_take_turns() -> None:
    """The same head each time: what is remembered of it must not remember the credential."""
    with gated() as rig:
        client = rig.client()
        for _ in range(6):
            client.send(request("GET", "/svc/x"))
            rig.upstream.send(reply())
            assert client.answer().status == 200
        sent = rig.upstream.transport.written
        assert [sent.count(secret.encode()) for _, secret in MEMBERS] == [2, 2, 2]


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_refused_one_gives_way_to_the_next(is_whole: bool) -> None:
    """The client sees one answer, the books have one entry, the keeper hears of it."""
    with gated() as rig:
        client = rig.client()
        client.send(request("POST", "/svc/x", b"body"))
        first = shown(rig)
        refusal = reply(401, b"no")
        rig.upstream.send(refusal if is_whole else refusal[:-1])
        assert len(rig.upstreams) == (1 if is_whole else 2)
        assert shown(rig) != first
        assert rig.upstream.transport.written.endswith(b"content-length: 4\r\n\r\nbody")
        rig.upstream.send(reply(200, b"yes"))
        answer = client.answer()
        assert (answer.status, answer.body) == (200, b"yes")
        (entry,) = rig.entries()
        assert (entry.status, entry.is_counted) == (200, True)
        assert len(used(rig)[0]) == 2 and len(used(rig)[1]) == 1
        assert rig.gateway.running == set()


def test_one_that_was_refused_rests_while_others_do() -> None:
    with gated((1, "one"), (2, "two")) as rig:
        client = asked(rig)
        dead = shown(rig)
        rig.upstream.send(reply(401))
        rig.upstream.send(reply())
        client.answer()
        for _ in range(4):
            again = asked(rig)
            assert shown(rig) != dead
            rig.upstream.send(reply())
            again.answer()
        rig.pass_time(31)
        seen = set()
        for _ in range(2):
            again = asked(rig)
            seen.add(shown(rig))
            rig.upstream.send(reply())
            again.answer()
        assert dead in seen, "its keeper found that it lives"


def refuse_all(rig: Rig) -> int:
    """How often the backend was asked until nobody asks any more."""
    for count in range(1, 9):
        written = rig.upstream.transport.written
        rig.upstream.send(reply(401, b"the service's own words"))
        if rig.upstream.transport.written == written:
            return count
    raise AssertionError("asked for ever")


@pytest.mark.parametrize("members", [1, 2, 7])
def test_when_all_are_refused_the_services_answer_goes_on(members: int) -> None:
    """After a bounded number of tries, each with another one."""
    with gated(*((number, f"s{number}") for number in range(members))) as rig:
        client = asked(rig)
        assert refuse_all(rig) == min(members, rig.gateway.attempts_max)
        answer = client.answer()
        assert (answer.status, answer.body) == (401, b"the service's own words")
        assert len(used(rig)[1]) == min(members, rig.gateway.attempts_max)
        assert len(rig.entries()) == 1


def test_an_upload_that_is_on_its_way_is_not_sent_again() -> None:
    """Its beginning is gone: the answer goes on, and the keeper looks at the credential."""
    with gated() as rig:
        client = rig.client()
        client.send(request("PUT", "/svc/x", b"", **CHUNKED) + b"4\r\nhalf\r\n")
        rig.upstream.send(reply(401))
        assert client.answer().status == 401
        assert len(rig.upstreams) == 1 and len(used(rig)[1]) == 1


def test_a_401_without_a_pool_is_the_services_own() -> None:
    with served() as rig:
        client = asked(rig)
        rig.upstream.send(reply(401))
        assert client.answer().status == 401
        assert used(rig) == (set(), set())


@pytest.mark.parametrize("status", [403, 429, 500])
def test_other_refusals_say_nothing_of_the_credential(status: int) -> None:
    with gated() as rig:
        client = asked(rig)
        rig.upstream.send(reply(status))
        assert client.answer().status == status
        assert used(rig)[1] == set()


def test_a_pool_without_a_living_credential_is_said_before_anything_is_sent() -> None:
    with served(route(credentials=use())) as rig:
        answer = asked(rig).answer()
        assert (answer.status, answer.code) == (502, "upstream_refused")
        assert rig.upstreams == [] and rig.entries() == []


def test_a_renewed_secret_is_shown_from_the_next_request_on() -> None:
    """On a connection that is open, with a head that is known."""
    with gated((1, "old")) as rig:
        client = rig.client()
        for secret in ("old", "new"):
            rig.route(route(credentials=use((1, secret))))
            client.send(request("GET", "/svc/x"))
            assert shown(rig) == f"T {secret}"
            rig.upstream.send(reply())
            client.answer()


def test_a_client_that_left_is_not_worth_another_credential() -> None:
    with gated() as rig:
        client: Side = asked(rig)
        client.hang_up()
        assert rig.upstream.transport.was_aborted and len(rig.upstreams) == 1


def test_all_tries_share_one_deadline() -> None:
    """A backend that refuses slowly must not hold a client for as long as it has credentials."""
    deadlines = Deadlines(connect_ms=9_000, first_byte_ms=9_000, total_ms=4_000)
    with gated(deadlines=deadlines) as rig:
        client = asked(rig)
        rig.pass_time(3)
        rig.upstream.send(reply(401))
        rig.pass_time(2)
        assert client.answer().status == 504


def test_header_rules_hold_beside_the_credential() -> None:
    rules = HeaderRules(("x-gone",), {}, {"x-team": "blue"})
    with gated((1, "s"), request_headers=rules) as rig:
        asked(rig, x_gone="1", x_team="red")
        fields = fields_of(rig.upstream.transport.written)
        assert fields["x-team"] == "blue" and fields["x-token"] == "T s" and "x-gone" not in fields


def test_no_secret_is_in_what_people_may_print() -> None:
    assert "s3cret" not in repr(HEADER) and "cards" in repr(HEADER)
    assert "s3cret" not in repr(route(credentials=HEADER))
