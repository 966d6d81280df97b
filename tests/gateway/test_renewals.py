"""A refusal of the only credential is waited out while its keeper renews it: once, not for long.

The test plays the clerk: a renewal is a snapshot in which the credential has another secret.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from tallygate.core.entry import Attempt, Outcome
from tallygate.core.ports import CredentialUse
from tallygate.core.routes import Deadlines
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import chat, reply, request
from tests.gateway.rig import Rig, Side, provider, rigged
from tests.gateway.test_route_credentials import refuse_all, shown, use
from tests.gateway.test_routes import CHUNKED, asked, route, served

WORDS = b"the service's own words"


@dataclass
class Gate:
    """One way to use a credential: `ask` sends a request, `renew` gives it this secret."""

    rig: Rig
    ask: Callable[[], Side]
    renew: Callable[[str], None]
    refusal: bytes  # the body that a client gets when there is no new secret

    def shown(self) -> str:
        """What stands before the secret is another in each of the ways."""
        sent = self.rig.upstream.transport.written.rpartition(b" HTTP/1.1\r\n")[2]
        found = [line for line in sent.split(b"\r\n") if b"s3cret" in line]
        return found[0].split()[-1].decode()

    def told(self) -> list[list[int]]:
        """Whom the clerk was told of, as refused."""
        return [one.refused for one in self.rig.clerk.sent(CredentialUse) if one.refused]

    def assert_nobody_waits(self) -> None:
        assert self.rig.gateway.running == set()
        assert repr(self.rig.gateway.renewals) == "<Renewals []>"


@contextmanager
def at_a_route(**changes: Any) -> Iterator[Gate]:
    def made(secret: str) -> Any:
        kept = {name: value for name, value in changes.items() if name == "deadlines"}
        return route(credentials=use((1, secret), renewable=(1,)), **kept)

    options = {name: value for name, value in changes.items() if name != "deadlines"}
    with served(made("old-s3cret"), **options) as rig:
        yield Gate(rig, lambda: asked(rig), lambda secret: rig.route(made(secret)), WORDS)


@contextmanager
def at_a_provider(**options: Any) -> Iterator[Gate]:
    with rigged({"k": key_with(daily(1, 99))}, pooled("old-s3cret"), **options) as rig:

        def ask() -> Side:
            client = rig.client()
            client.send(chat())
            return client

        yield Gate(rig, ask, lambda secret: rig.reload(pooled(secret)), b"upstream_refused")


def pooled(secret: str, **changes: Any) -> Any:
    stands_for = {"parent": "p", "credential_id": 1, "pool": "c", "is_renewable": True}
    return msgspec.structs.replace(provider("p#1", secret=secret), **(stands_for | changes))


BOTH = pytest.mark.parametrize("gated", [at_a_route, at_a_provider])


@BOTH
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_refused_request_is_sent_again_with_the_renewed_secret(
    gated: Any, is_whole: bool
) -> None:
    """Its client sees one answer, its books one entry; the clerk hears of it at once."""
    with gated() as gate:
        client = gate.ask()
        before = len(gate.rig.upstreams)
        refusal = reply(401, WORDS)
        gate.rig.upstream.send(refusal if is_whole else refusal[:-3])
        assert client.unread == b"" and gate.told() == [[1]]
        gate.renew("old-s3cret")
        assert gate.rig.requests_upstream() == 1, "the same secret is no renewal"
        gate.renew("new-s3cret")
        assert gate.shown() == "new-s3cret"
        assert len(gate.rig.upstreams) == (before if is_whole else before + 1)
        gate.rig.upstream.send(reply())
        assert client.answer().status == 200
        (entry,) = gate.rig.entries()
        assert (entry.status, entry.outcome, entry.is_counted) == (200, Outcome.OK, True)
        gate.assert_nobody_waits()
        again = gate.ask()
        assert gate.shown() == "new-s3cret"
        gate.rig.upstream.send(reply())
        assert again.answer().status == 200
        assert gate.told() == [[1]]


@BOTH
def test_all_who_wait_share_one_renewal(gated: Any) -> None:
    with gated() as gate:
        clients = [gate.ask() for _ in range(5)]
        for side in list(gate.rig.upstreams):
            side.send(reply(401, WORDS))
        assert gate.told() == [[1]]
        gate.renew("new-s3cret")
        for side in gate.rig.upstreams:
            side.send(reply())
        assert [one.answer().status for one in clients] == [200] * 5
        assert len(gate.rig.entries()) == 5
        gate.assert_nobody_waits()


@BOTH
def test_who_waits_in_vain_is_answered_as_before_and_others_do_not_wait_for_a_while(
    gated: Any,
) -> None:
    """A renewal that does not come must not cost every request five seconds."""
    with gated() as gate:
        client = gate.ask()
        gate.rig.upstream.send(reply(401, WORDS))
        gate.rig.pass_time(4.5)
        assert client.unread == b""
        gate.rig.pass_time(1)
        answer = client.answer()
        assert answer.status == 401 and gate.refusal in answer.body
        assert len(gate.rig.entries()) == 1
        gate.assert_nobody_waits()
        at_once = gate.ask()
        gate.rig.upstream.send(reply(401, WORDS))
        assert at_once.answer().status == 401
        gate.rig.pass_time(31)
        later = gate.ask()
        gate.rig.upstream.send(reply(401, WORDS))
        assert later.unread == b""
        gate.renew("new-s3cret")
        gate.rig.upstream.send(reply())
        assert later.answer().status == 200


@BOTH
def test_a_renewed_secret_that_is_refused_too_is_not_waited_for_again(gated: Any) -> None:
    with gated() as gate:
        client = gate.ask()
        gate.rig.upstream.send(reply(401, WORDS))
        gate.renew("new-s3cret")
        gate.rig.upstream.send(reply(401, WORDS))
        assert client.answer().status == 401
        assert gate.rig.requests_upstream() == 2
        gate.assert_nobody_waits()


@BOTH
def test_one_that_was_renewed_while_the_request_was_on_its_way_is_used_at_once(gated: Any) -> None:
    """The refusal is of the secret before: nothing is to be waited for."""
    with gated() as gate:
        client = gate.ask()
        gate.renew("new-s3cret")
        gate.rig.upstream.send(reply(401, WORDS))
        assert gate.shown() == "new-s3cret"
        gate.rig.upstream.send(reply())
        assert client.answer().status == 200
        gate.assert_nobody_waits()


@BOTH
def test_a_client_that_leaves_waits_no_more(gated: Any) -> None:
    """And a renewal that comes afterwards sends nothing for it."""
    with gated() as gate:
        client = gate.ask()
        gate.rig.upstream.send(reply(401, WORDS))
        client.hang_up()
        gate.assert_nobody_waits()
        gate.renew("new-s3cret")
        assert gate.rig.requests_upstream() == 1


@BOTH
@pytest.mark.parametrize("options", [{"renewal_wait_s": 0}, {"attempts_max": 1}])
def test_nobody_waits_where_the_settings_do_not_let_it_ask_again(gated: Any, options: Any) -> None:
    with gated(**options) as gate:
        client = gate.ask()
        gate.rig.upstream.send(reply(401, WORDS))
        assert client.answer().status == 401


@BOTH
def test_a_backend_that_is_lost_on_the_second_try_is_said_as_such(gated: Any) -> None:
    with gated() as gate:
        client = gate.ask()
        gate.rig.upstream.send(reply(401, WORDS)[:-1])
        gate.rig.connects = "refused"
        gate.renew("new-s3cret")
        assert client.answer().status == 502
        gate.assert_nobody_waits()


# --- private services ---


def test_a_credential_that_cannot_be_renewed_is_not_waited_for() -> None:
    with served(route(credentials=use((1, "s")))) as rig:
        client = asked(rig)
        assert refuse_all(rig) == 1
        assert client.answer().status == 401


def test_one_that_died_meanwhile_is_waited_for_no_longer() -> None:
    """Its keeper has proven it dead, so it is in no pool any more: the answer goes on at once."""
    with at_a_route() as gate:
        client = gate.ask()
        gate.rig.upstream.send(reply(401, WORDS))
        gate.rig.route(route(credentials=use((2, "other-s3cret"))))
        answer = client.answer()
        assert (answer.status, answer.body) == (401, WORDS)
        gate.assert_nobody_waits()


def test_others_of_the_pool_are_tried_before_anybody_waits() -> None:
    with served(route(credentials=use((1, "a"), (2, "b"), renewable=(1, 2)))) as rig:
        client = asked(rig)
        first = shown(rig)
        rig.upstream.send(reply(401))
        assert shown(rig) != first and client.unread == b""
        rig.upstream.send(reply(401))
        assert rig.requests_upstream() == 2 and client.unread == b"", "both are refused: it waits"
        rig.pass_time(6)
        assert client.answer().status == 401


def test_an_upload_that_was_on_its_way_is_not_waited_for() -> None:
    with at_a_route() as gate:
        client = gate.rig.client()
        client.send(request("PUT", "/svc/x", b"", **CHUNKED) + b"4\r\nhalf\r\n")
        gate.rig.upstream.send(reply(401))
        assert client.answer().status == 401
        gate.assert_nobody_waits()


def test_the_rest_of_a_refusal_is_kept_until_it_may_go_on() -> None:
    """It comes in pieces while the credential is waited for; no byte is lost or doubled."""
    with at_a_route() as gate:
        client = gate.ask()
        whole = reply(401, WORDS)
        gate.rig.upstream.send(whole[:-10])
        gate.rig.upstream.send(whole[-10:-4])
        gate.rig.upstream.send(whole[-4:])
        assert client.unread == b""
        gate.rig.pass_time(6)
        answer = client.answer()
        assert (answer.status, answer.body) == (401, WORDS)
        gate.assert_nobody_waits()


def test_a_refusal_that_is_too_long_to_keep_goes_on_at_once() -> None:
    with at_a_route() as gate:
        client = gate.ask()
        whole = reply(401, b"x" * 100_000)
        gate.rig.upstream.send(whole[:50_000])
        assert client.unread == b""
        gate.rig.upstream.send(whole[50_000:90_000])
        assert client.unread != b""
        gate.rig.upstream.send(whole[90_000:])
        assert client.answer().body == b"x" * 100_000
        gate.assert_nobody_waits()


def test_a_refusal_that_breaks_off_is_still_waited_out() -> None:
    """With a new secret nobody misses it; without one its client sees that it is cut."""
    with at_a_route() as gate:
        client = gate.ask()
        gate.rig.upstream.send(reply(401, WORDS)[:-3])
        gate.rig.upstream.hang_up()
        assert client.unread == b""
        gate.renew("new-s3cret")
        gate.rig.upstream.send(reply())
        assert client.answer().status == 200
    with at_a_route() as gate:
        client = gate.ask()
        gate.rig.upstream.send(reply(401, WORDS)[:-3])
        gate.rig.upstream.hang_up()
        gate.rig.pass_time(6)
        assert client.answer().is_cut
        assert gate.rig.entries()[0].outcome is Outcome.CUT


def test_the_routes_own_deadline_ends_a_wait() -> None:
    with at_a_route(deadlines=Deadlines(total_ms=2_000)) as gate:
        client = gate.ask()
        gate.rig.upstream.send(reply(401, WORDS))
        gate.rig.pass_time(3)
        assert client.answer().status == 401


# --- providers ---


def test_a_metered_call_keeps_its_units_while_it_waits_and_is_counted_once() -> None:
    with at_a_provider() as gate:
        gate.ask()
        gate.rig.upstream.send(reply(401))
        gate.renew("new-s3cret")
        gate.rig.upstream.send(reply())
        (entry,) = gate.rig.entries()
        assert entry.attempts == [Attempt("p#1", 401, 0), Attempt("p#1", 200, entry.duration_ms)]
        assert entry.counts["input_tokens"] > 0 and entry.uses[0].spent == 1


def test_who_waited_in_vain_has_its_unit_back() -> None:
    """The operator's trouble is not the key's."""
    with at_a_provider() as gate:
        client = gate.ask()
        gate.rig.upstream.send(reply(401))
        gate.rig.pass_time(6)
        client.answer()
        (entry,) = gate.rig.entries()
        assert (entry.is_counted, entry.uses[0].spent) == (False, 0)
        assert entry.attempts == [Attempt("p#1", 401, 0)]


def test_another_provider_is_asked_before_anybody_waits() -> None:
    other = provider("p9", priority=1)
    with rigged({"k": key_with(daily(1, 99))}, pooled("old-s3cret"), other) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply(401))
        assert len(rig.upstreams) == 2
        rig.upstream.send(reply())
        assert client.answer().status == 200


def test_a_provider_whose_credential_is_gone_answers_at_once() -> None:
    with at_a_provider() as gate:
        client = gate.ask()
        gate.rig.upstream.send(reply(401))
        gate.rig.reload(pooled("other-s3cret", credential_id=2, name="p#2"))
        assert client.answer().status == 401
        gate.assert_nobody_waits()
