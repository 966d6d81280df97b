"""Private services behind the gate: what reaches them, what comes back, what goes on the books."""

import base64
import hashlib
from typing import Any

import pytest

from tallygate.core.entry import Outcome
from tallygate.core.limits import Dimension, Limit
from tallygate.core.ports import Key, LookUp
from tallygate.core.routes import Deadlines, HeaderRules, Route
from tallygate.core.shares import Share
from tallygate.core.windows import Span
from tallygate.journal.writer import JournalFailed
from tests.gateway.exchange_text import LAST_CHUNK, Incomplete, chunked, reply, request
from tests.gateway.rig import Rig, Side, rigged

CHUNKED: Any = {"content_length": "", "transfer_encoding": "chunked"}


def token(number: int = 1, *limits: Limit, **changes: Any) -> Key:
    values = {"tenant_id": 1, "kind": "ntk", "is_active": True, "expires_ms": None, "user_id": ""}
    values |= {"team_id": "", "models": None, "addresses": None, "scopes": (), "limits": limits}
    return Key(number, **(values | changes))


def limit(id_: int, amount: int | None, span: Span = Span.DAY) -> Limit:
    return Limit(id_, Dimension.REQUESTS, span, "UTC", amount)


def route(path: str = "/svc", **changes: Any) -> Route:
    return Route(changes.pop("id", 1), path, changes.pop("backend_url", "http://b.test"), **changes)


def served(*routes: Route, keys: dict[str, Key] | None = None, **options: Any) -> Any:
    """A rig with these routes and one token, `k`."""
    context = rigged(keys if keys is not None else {"k": token()}, **options)

    class Served:
        def __enter__(self) -> Rig:
            self.rig = context.__enter__()
            self.rig.route(*(routes or (route(),)))
            return self.rig

        def __exit__(self, *error: Any) -> None:
            context.__exit__(*error)

    return Served()


def asked(rig: Rig, **changes: Any) -> Side:
    client = rig.client()
    client.send(request("GET", changes.pop("path", "/svc/x"), **changes))
    return client


def fields_of(sent: bytes) -> dict[str, str]:
    head = sent.partition(b"\r\n\r\n")[0].decode("latin-1")
    return dict(line.split(": ", 1) for line in head.split("\r\n")[1:])


# --- what reaches the backend ---


def test_a_backend_sees_none_of_our_credentials() -> None:
    """It could use them here: a token is worth as much as all that it opens."""
    with served() as rig:
        cookie = "a=1; tallygate_session=s3cret; __Host-Tallygate_x=s3cret; b=2"
        credentials = {"x_api_key": "k", "x_admin_token": "s3cret", "x_trial_key": "s3cret"}
        asked(rig, key="s3cret", cookie=cookie, accept="text/plain", **credentials)
        sent = rig.upstream.transport.written
        assert b"s3cret" not in sent
        assert fields_of(sent)["cookie"] == "a=1; b=2"
        assert fields_of(sent)["accept"] == "text/plain"


def test_a_backend_is_told_who_asks_and_by_which_name() -> None:
    """And by whom it was asked before, so that a circle of gateways is noticed by each."""
    with served() as rig:
        asked(rig, x_forwarded_for="6.6.6.6", x_forwarded_host="evil", via="1.1 before")
        fields = fields_of(rig.upstream.transport.written)
        assert fields["host"] == "b.test"
        assert fields["x-forwarded-for"] == "127.0.0.1"
        assert fields["x-forwarded-host"] == "gate.test"
        assert b"via: 1.1 before\r\n" in rig.upstream.transport.written.lower()
        assert b"via: 1.1 tallygate-node\r\n" in rig.upstream.transport.written


def test_header_rules_remove_rename_and_add_in_this_order() -> None:
    """What is added takes the place of what the client sent under that name."""
    rules = HeaderRules(
        ("x-gone",), {"x-backend-auth": "authorization", "x-old": "x-new"}, {"x-team": "blue"}
    )
    with served(route(request_headers=rules)) as rig:
        sent = {"x_gone": "1", "x_old": "2", "x_team": "red", "x_backend_auth": "Basic abc"}
        asked(rig, **sent)
        fields = fields_of(rig.upstream.transport.written)
        assert "x-gone" not in fields
        assert fields["x-new"] == "2"
        assert fields["x-team"] == "blue"
        assert fields["authorization"] == "Basic abc"


def test_a_request_that_has_been_here_before_goes_nowhere() -> None:
    """A route whose backend leads back to us would run in a circle until all ports are used."""
    with served() as rig:
        client = asked(rig, via="1.1 other, 1.1 tallygate-node")
        assert client.answer().code == "impossible"
        assert rig.upstreams == []
        assert rig.entries() == []


def test_a_repeated_head_is_worked_out_once() -> None:
    """That is what keeps a generic request within the cost of three of nginx's."""
    with served() as rig:
        client = rig.client()
        plans = set()
        for _ in range(3):
            client.send(request("GET", "/svc/x"))
            rig.upstream.send(reply())
            client.answer()
            plans.add(id(next(iter(rig.parts.front.heads._heads.values())).memo))
        assert len(plans) == 1
        assert len(rig.entries()) == 3


def test_new_routes_count_from_the_next_request_on() -> None:
    """Also for a head that is remembered with the way it took before."""
    with served() as rig:
        client = asked(rig)
        rig.upstream.send(reply())
        client.answer()
        rig.route(route(scope="admin"))
        client.send(request("GET", "/svc/x"))
        assert client.answer().status == 403
        rig.route()
        client.send(request("GET", "/svc/x"))
        assert b"via: " not in rig.upstream.transport.written  # the control plane's
        rig.upstream.send(reply(404))
        assert client.answer().status == 404


# --- who may ---


def test_a_key_for_models_opens_no_service() -> None:
    """It was handed out for something else."""
    with served(keys={"k": token(kind="roc")}) as rig:
        assert asked(rig).answer().code == "forbidden"


def test_a_token_is_looked_up_once_and_waited_for() -> None:
    """However many requests come with it meanwhile."""
    with served() as rig:
        rig.clerk.held.add(LookUp)
        clients = [asked(rig), asked(rig)]
        assert rig.upstreams == []
        rig.clerk.held.clear()
        rig.settle()
        for client, upstream in zip(clients, rig.upstreams, strict=True):
            upstream.send(reply())
            assert client.answer().status == 200
        assert len(rig.clerk.sent(LookUp)) == 1


def test_a_store_that_is_away_is_said_so() -> None:
    """Not that the token were unknown."""
    with served() as rig:
        rig.clerk.is_store_available = False
        answer = asked(rig).answer()
        assert (answer.status, answer.code) == (503, "store_unavailable")


def test_a_revoked_token_stops_on_a_connection_that_is_open() -> None:
    with served() as rig:
        client = asked(rig)
        rig.upstream.send(reply())
        client.answer()
        rig.clerk.keys.clear()
        rig.publish("key", 1)
        client.send(request("GET", "/svc/x"))
        assert client.answer().status == 401


def test_a_method_that_is_not_allowed_is_told_which_are() -> None:
    with served(route(methods=("GET", "HEAD"))) as rig:
        client = rig.client()
        client.send(request("POST", "/svc", b"x"))
        answer = client.answer()
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_an_upload_that_may_not_be_is_refused_before_it_is_sent() -> None:
    """`Expect: 100-continue` asks for exactly that."""
    with served(route(scope="admin")) as rig:
        asked(rig)  # the token is known from here on
        client = rig.client()
        head = request("PUT", "/svc", content_length="1000000", expect="100-continue")
        client.send(head)
        assert client.answer().status == 403
        assert client.unread == b""


# --- limits ---


def spend(rig: Rig, key: str = "k") -> int:
    client = asked(rig, key=key)
    if not client.unread:
        rig.upstream.send(reply())
    return client.answer().status


def test_a_routes_limit_is_shared_by_all_tokens() -> None:
    keys = {"k": token(1), "other": token(2)}
    with served(route(limits=(limit(7, 3),)), keys=keys) as rig:
        statuses = [spend(rig), spend(rig, "other"), spend(rig), spend(rig), spend(rig, "other")]
        assert statuses == [200, 200, 200, 429, 429]
        assert [use.limit_id for one in rig.entries() for use in one.uses] == [7, 7, 7]


def test_a_limit_for_each_token_counts_each_by_itself() -> None:
    keys = {"k": token(1), "other": token(2)}
    with served(route(token_limits=(limit(7, 2),)), keys=keys) as rig:
        assert [spend(rig) for _ in range(3)] == [200, 200, 429]
        assert [spend(rig, "other") for _ in range(3)] == [200, 200, 429]
        assert len(rig.clerk.sent(Share)) == 2  # asked for once


def test_a_tokens_own_limit_counts_here_too() -> None:
    with served(keys={"k": token(1, limit(5, 2))}) as rig:
        assert [spend(rig) for _ in range(3)] == [200, 200, 429]


def test_all_limits_are_taken_together_or_none() -> None:
    """A request that one of them refuses must not use up the others."""
    with served(route(limits=(limit(7, 1),)), keys={"k": token(1, limit(5, 9))}) as rig:
        assert [spend(rig) for _ in range(4)] == [200, 429, 429, 429]
        assert rig.clerk.books.used((5, next(iter(rig.clerk.books.generations))[1])) <= 9
        rig.route(route())
        assert [spend(rig) for _ in range(9)] == [200] * 8 + [429]


def test_the_answer_says_what_is_left() -> None:
    with served(route(limits=(limit(7, 3),))) as rig:
        client = asked(rig)
        rig.upstream.send(reply(x_ratelimit_limit_requests="backend's own"))
        headers = client.answer().headers
        assert headers["x-ratelimit-limit-requests"] == "3"
        assert headers["x-ratelimit-remaining-requests"] == "2"


@pytest.mark.parametrize(
    ("status", "is_counted"),
    [(200, True), (302, True), (404, True), (401, True), (500, False), (503, False)],
)
def test_what_the_backend_refuses_counts_and_its_own_failure_does_not(
    status: int, is_counted: bool
) -> None:
    """Who guesses at a backend's door must not guess for nothing."""
    with served(route(limits=(limit(7, 100),))) as rig:
        client = asked(rig)
        rig.upstream.send(reply(status, b""))
        assert client.answer().status == status
        (entry,) = rig.entries()
        assert entry.is_counted is is_counted
        assert [use.spent for use in entry.uses] == [int(is_counted)]


def test_a_share_that_cannot_be_had_is_a_503() -> None:
    with served(route(token_limits=(limit(7, 2),))) as rig:
        rig.clerk.templates.clear()
        assert asked(rig).answer().status == 503
        assert rig.gateway.running == set()


def test_a_share_is_asked_of_the_next_clerk_when_the_first_is_lost() -> None:
    with served(route(token_limits=(limit(7, 2),))) as rig:
        rig.clerk.held.add(Share)
        client = asked(rig)
        rig.clerk.held.clear()
        rig.welcome = rig.welcome.__class__(
            *(getattr(rig.welcome, name) for name in rig.welcome.__struct_fields__[:-1]),
            rig.welcome.snapshot.__class__(9, (), (), (route(token_limits=(limit(7, 2),)),)),
        )
        rig.reconnect()
        rig.upstream.send(reply())
        assert client.answer().status == 200


# --- what comes back ---


def test_a_page_of_a_backend_runs_in_a_sandbox_on_our_origin() -> None:
    """Else its scripts could use the console with the operator's session."""
    with served() as rig:
        client = asked(rig)
        rig.upstream.send(reply(200, b"<html>", kind="text/html"))
        assert client.answer().headers["content-security-policy"] == "sandbox"


def test_a_host_of_its_own_needs_no_sandbox() -> None:
    with served(route(host="gate.test")) as rig:
        client = asked(rig)
        rig.upstream.send(reply(clear_site_data="*"))
        headers = client.answer().headers
        assert "content-security-policy" not in headers
        assert headers["clear-site-data"] == "*"


def test_a_backend_cannot_set_our_cookies_nor_sign_anybody_out() -> None:
    with served() as rig:
        client = asked(rig)
        evil = "Set-Cookie: tallygate_session=x\r\nSET-COOKIE:__Host-tallygate_a=x\r\n"
        lines = f'{evil}Set-Cookie: theirs=1\r\nClear-Site-Data: "cookies"\r\nX-Fine: 1\r\n'
        rig.upstream.send(reply().replace(b"\r\n\r\n", b"\r\n" + lines.encode() + b"\r\n", 1))
        data = client.take().lower()
        assert b"tallygate_" not in data
        assert b"clear-site-data" not in data
        assert b"set-cookie: theirs=1\r\n" in data
        assert b"x-fine: 1\r\n" in data


def test_header_rules_of_answers() -> None:
    rules = HeaderRules(("server",), {"x-a": "x-b"}, {"cache-control": "no-store"})
    with served(route(response_headers=rules)) as rig:
        client = asked(rig)
        rig.upstream.send(reply(server="secret/1.0", x_a="1", cache_control="public"))
        headers = client.answer().headers
        assert "server" not in headers
        assert headers["x-b"] == "1"
        assert headers["cache-control"] == "no-store"


def test_redirects_go_on_as_they_are() -> None:
    with served() as rig:
        client = asked(rig)
        rig.upstream.send(reply(302, b"", location="/elsewhere"))
        answer = client.answer()
        assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")


def test_events_pass_one_by_one_and_the_last_waits_for_the_journal() -> None:
    with served() as rig:
        client = asked(rig)
        rig.upstream.send(reply(body=b"", kind="text/event-stream", **CHUNKED))
        client.take()
        for number in range(3):
            piece = chunked(b"data: %d\n\n" % number)
            rig.upstream.send(piece)
            assert client.take() == piece
        assert rig.entries() == []
        rig.upstream.send(LAST_CHUNK, is_settled=False)
        assert client.take() == b""
        rig.settle()
        assert client.take() == LAST_CHUNK
        (entry,) = rig.entries()
        assert (entry.outcome, entry.status, entry.route) == (Outcome.OK, 200, "/svc")
        assert entry.bytes_out > 20


def test_an_entry_tells_address_agent_and_bytes() -> None:
    with served() as rig:
        client = rig.client("10.9.8.7")
        client.send(request("POST", "/svc", b"12345", user_agent="n8n/1.0"))
        rig.upstream.send(reply(201))
        client.answer()
        (entry,) = rig.entries()
        assert (entry.address, entry.agent, entry.bytes_in) == ("10.9.8.7", "n8n/1.0", 5)
        assert (entry.key_id, entry.status, entry.is_counted) == (1, 201, True)


# --- bodies ---


def begun(rig: Rig, length: int = 1_000_000, **headers: str) -> Side:
    client = rig.client()
    client.send(request("PUT", "/svc", content_length=str(length), **headers))
    return client


def test_a_large_upload_is_not_gathered() -> None:
    """Its pieces go on as they come, at the pace of whoever reads them."""
    with served() as rig:
        client = begun(rig)
        for _ in range(9):
            client.send(b"x" * 100_000)
            assert not client.transport.is_reading_paused
        assert rig.parts.front.buffered_bytes == 0
        rig.upstream.protocol.pause_writing()
        assert client.transport.is_reading_paused
        rig.upstream.protocol.resume_writing()
        assert not client.transport.is_reading_paused
        client.send(b"x" * 100_000)
        rig.upstream.send(reply())
        assert client.answer().status == 200
        assert rig.entries()[0].bytes_in == 1_000_000
        client.send(request("GET", "/svc"))
        assert len(rig.upstreams) == 1  # the connection is clean, and used again


def test_an_upload_that_comes_before_its_token_is_known_waits_in_order() -> None:
    with served() as rig:
        rig.connects = "held"
        client = begun(rig, 20)
        client.send(b"first-----")
        assert client.transport.is_reading_paused
        client.send(b"second----")
        rig.connects = "at once"
        rig.settle()
        assert rig.upstream.transport.written.endswith(b"\r\n\r\nfirst-----second----")
        rig.upstream.send(reply())
        assert client.answer().status == 200


def test_a_chunked_upload_stays_chunked() -> None:
    with served() as rig:
        client = rig.client()
        head = request("POST", "/svc", transfer_encoding="chunked")
        client.send(head.replace(b"content-length: 0\r\n", b"") + chunked(b"hello"))
        client.send(chunked(b"world") + LAST_CHUNK)
        sent = rig.upstream.transport.written
        assert sent.endswith(chunked(b"hello", b"world") + LAST_CHUNK)
        assert b"content-length" not in sent.lower()
        rig.upstream.send(reply())
        assert client.answer().status == 200


def test_an_answer_before_the_end_of_an_upload_ends_both_connections() -> None:
    """The rest of the body would be taken for a request."""
    with served() as rig:
        client = begun(rig)
        rig.upstream.send(reply(413, b"too large"))
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        client.send(b"GET /svc HTTP/1.1\r\n\r\n")
        assert rig.requests_upstream() == 1
        assert rig.upstream.transport.was_closed


def test_a_download_is_read_no_faster_than_its_client_reads() -> None:
    with served() as rig:
        client = rig.client()
        client.transport.is_stuck = True
        whole = reply(200, b"x" * 900_000)
        client.send(request("GET", "/svc"))
        rig.upstream.send(whole[:500_000])
        assert rig.upstream.transport.is_reading_paused
        rig.pass_time(30)
        assert not rig.upstream.transport.is_lost  # its silence is ours
        client.transport.catch_up()
        assert not rig.upstream.transport.is_reading_paused
        rig.upstream.send(whole[500_000:])
        assert len(client.answer().body) == 900_000


# --- backends that misbehave ---


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"garbage\r\n\r\n", 502, "upstream_misbehaved"),
        (b"\x00\xff" * 40_000, 502, "upstream_misbehaved"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", 502, ""),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", 502, ""),
        (b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\n\r\n", 502, ""),
        (b"", 502, "upstream_unreachable"),
        (b"HTTP/1.1 200", 502, "upstream_unreachable"),
    ],
)
def test_garbage_or_nothing_is_a_502_on_the_books(data: bytes, status: int, code: str) -> None:
    """A clear answer, and the token is not charged for it."""
    with served(route(limits=(limit(7, 5),))) as rig:
        client = asked(rig)
        if data:
            rig.upstream.send(data)
        if not rig.upstream.transport.is_lost:
            rig.upstream.hang_up()
        answer = client.answer()
        assert answer.status == status
        assert not code or answer.code == code
        (entry,) = rig.entries()
        assert (entry.outcome, entry.is_counted) == (Outcome.UNREACHABLE, False)


def test_an_answer_that_is_cut_looks_cut() -> None:
    with served() as rig:
        client = asked(rig)
        rig.upstream.send(reply(200, b"x" * 100)[:-50])
        rig.upstream.hang_up()
        assert client.answer().is_cut
        (entry,) = rig.entries()
        assert (entry.outcome, entry.is_counted) == (Outcome.CUT, True)


@pytest.mark.parametrize("stage", ["connect", "first_byte", "between", "total"])
def test_every_stage_has_its_deadline(stage: str) -> None:
    deadlines = Deadlines(2_000, 4_000, 6_000, 20_000)
    with served(route(deadlines=deadlines)) as rig:
        rig.connects = "held" if stage == "connect" else "at once"
        client = asked(rig)
        if stage in ("between", "total"):
            rig.upstream.send(reply(200, b"x" * 100)[:-50])
        if stage == "total":
            for _ in range(6):
                rig.pass_time(3)
                rig.upstream.send(b"x")
        before_s, after_s = {
            "connect": (1, 2),
            "first_byte": (3, 2),
            "between": (5, 2),
            "total": (1, 2),
        }[stage]
        rig.pass_time(before_s)
        assert rig.entries() == []
        rig.pass_time(after_s)
        (entry,) = rig.entries()
        statuses = {"connect": 502, "first_byte": 504, "between": 200, "total": 200}
        assert entry.status == statuses[stage]
        answer = client.answer()
        assert answer.is_cut is (stage in ("between", "total"))


def test_a_stream_without_a_total_goes_on_as_long_as_bytes_come() -> None:
    with served() as rig:
        client = asked(rig)
        rig.upstream.send(reply(body=b"", kind="text/event-stream", **CHUNKED))
        for _ in range(30):
            rig.pass_time(200)
            rig.upstream.send(chunked(b": alive\n\n"))
        assert not rig.upstream.transport.is_lost
        rig.upstream.send(LAST_CHUNK)
        assert client.answer().body.count(b"alive") == 30


def test_a_backend_that_keeps_failing_is_left_alone_for_a_while() -> None:
    """Everyone who asks meanwhile is told at once; then one request is a trial."""
    with served(
        route(), route("/same", id=2), route("/other", id=3, backend_url="http://c")
    ) as rig:
        rig.connects = "refused"
        assert [asked(rig).answer().status for _ in range(5)] == [502] * 5
        entries = len(rig.entries())
        answer = asked(rig, path="/same").answer()
        assert (answer.status, answer.headers["retry-after"]) == (502, "1")
        assert len(rig.entries()) == entries  # never forwarded
        rig.connects = "at once"
        other = asked(rig, path="/other")
        rig.upstream.send(reply())
        assert other.answer().status == 200
        rig.pass_time(3)
        trial = asked(rig)
        assert asked(rig).answer().status == 502
        rig.upstream.send(reply())
        assert trial.answer().status == 200
        again = asked(rig)
        rig.upstream.send(reply())
        assert again.answer().status == 200


def test_errors_of_a_backends_own_do_not_close_it_to_others() -> None:
    """One broken page must not take a whole service away from everyone."""
    with served() as rig:
        for _ in range(20):
            client = asked(rig)
            rig.upstream.send(reply(500))
            assert client.answer().status == 500


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("PUT", 200), ("POST", 502)])
def test_a_stale_connection_is_tried_again_unless_something_may_have_happened(
    method: str, status: int
) -> None:
    with served() as rig:
        first = asked(rig)
        rig.upstream.send(reply())
        first.answer()
        client = rig.client()
        client.send(request(method, "/svc", b"x" if method != "GET" else b""))
        rig.upstreams[0].hang_up()
        if status == 200:
            assert len(rig.upstreams) == 2
            rig.upstream.send(reply())
        assert client.answer().status == status
        assert len(rig.entries()) == 2


def test_a_client_that_leaves_ends_the_request_at_the_backend() -> None:
    with served(route(limits=(limit(7, 5),))) as rig:
        client = asked(rig)
        client.hang_up()
        assert rig.upstream.transport.was_aborted
        (entry,) = rig.entries()
        assert (entry.outcome, entry.is_counted) == (Outcome.CLIENT_GONE, True)
        assert rig.gateway.running == set()


def test_a_client_that_leaves_before_anything_was_sent_is_not_counted() -> None:
    with served(route(limits=(limit(7, 5),))) as rig:
        rig.connects = "held"
        client = asked(rig)
        client.hang_up()
        rig.connects = "at once"
        rig.settle()
        assert rig.entries() == []
        assert rig.requests_upstream() == 0
        assert rig.gateway.running == set()
        assert spend(rig) == 200


def test_a_journal_that_fails_leaves_the_answer_incomplete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is not on the books must not look whole to its client."""

    def fail() -> None:
        raise JournalFailed("the disk is full")

    with served() as rig:
        client = asked(rig)
        rig.upstream.send(reply(200, b"x" * 10)[:-5])
        with monkeypatch.context() as patched:
            patched.setattr(rig.gateway.recorder.journal, "write", fail)
            rig.upstream.send(b"xxxxx")
        assert client.transport.was_aborted
        with pytest.raises(Incomplete):
            client.answer()


# --- WebSocket ---

WS_KEY = base64.b64encode(b"0123456789abcdef").decode()
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accepted(**changes: str) -> bytes:
    proof = base64.b64encode(hashlib.sha1(WS_KEY.encode() + GUID).digest()).decode()
    fields = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-accept": proof}
    fields |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode()


def upgraded(rig: Rig, early: bytes = b"") -> Side:
    client = rig.client()
    fields = {"connection": "Upgrade", "upgrade": "websocket", "sec_websocket_key": WS_KEY}
    client.send(request("GET", "/svc/ws", sec_websocket_version="13", **fields) + early)
    return client


def test_a_websocket_passes_bytes_both_ways_and_is_one_use() -> None:
    with served(route(limits=(limit(7, 5),))) as rig:
        client = upgraded(rig, early=b"early")
        sent = rig.upstream.transport.written
        assert b"connection: upgrade\r\nupgrade: websocket\r\n" in sent
        assert sent.endswith(b"\r\n\r\n"), "bytes of the client wait for a valid 101"
        rig.upstream.send(accepted(sec_websocket_protocol="chat") + b"hello")
        answer = client.take()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-protocol: chat\r\n" in answer
        assert answer.endswith(b"\r\n\r\nhello")
        assert rig.upstream.transport.written.endswith(b"\r\n\r\nearly")
        client.send(b"\x81\x02hi")
        assert rig.upstream.transport.written.endswith(b"early\x81\x02hi")
        rig.upstream.send(b"\x81\x02ho")
        assert client.take() == b"\x81\x02ho"
        assert rig.entries() == []
        rig.upstream.hang_up()
        (entry,) = rig.entries()
        assert (entry.status, entry.outcome, entry.is_counted) == (101, Outcome.OK, True)
        assert entry.bytes_in == len(b"early\x81\x02hi")
        assert rig.gateway.running == set()


def test_a_websocket_that_its_client_ends_is_ended_at_the_backend_after_the_last_byte() -> None:
    with served() as rig:
        client = upgraded(rig)
        rig.upstream.send(accepted())
        client.send(b"\x88\x00")
        client.hang_up()
        assert rig.upstream.transport.was_closed
        assert not rig.upstream.transport.was_aborted
        (entry,) = rig.entries()
        assert entry.outcome is Outcome.OK


def test_a_websocket_is_held_to_the_pace_of_the_slower_end() -> None:
    with served() as rig:
        client = upgraded(rig)
        rig.upstream.send(accepted())
        rig.upstream.protocol.pause_writing()
        assert client.transport.is_reading_paused
        rig.upstream.protocol.resume_writing()
        assert not client.transport.is_reading_paused
        client.transport.is_stuck = True
        rig.upstream.send(b"x" * 500_000)
        assert rig.upstream.transport.is_reading_paused
        client.transport.catch_up()
        assert not rig.upstream.transport.is_reading_paused


def test_a_silent_websocket_ends_by_its_routes_deadline_and_a_lively_one_does_not() -> None:
    with served(route(deadlines=Deadlines(1_000, 1_000, 90_000))) as rig:
        client = upgraded(rig)
        rig.upstream.send(accepted())
        for _ in range(3):
            rig.pass_time(80)
            client.send(b"ping")
        assert not client.transport.is_lost
        rig.pass_time(80)
        rig.upstream.send(b"pong")
        rig.pass_time(80)
        assert not client.transport.is_lost
        rig.pass_time(20)
        assert len(rig.entries()) == 1
        assert rig.upstream.transport.was_closed or rig.upstream.transport.was_aborted


@pytest.mark.parametrize(
    "changes",
    [
        {"sec_websocket_accept": "bm90IGl0"},
        {"sec_websocket_accept": ""},
        {"upgrade": "h2c"},
        {"upgrade": ""},
    ],
)
def test_an_upgrade_that_the_backend_did_not_mean_is_no_tunnel(changes: dict[str, str]) -> None:
    """One end alone must not be able to turn our reading off."""
    with served() as rig:
        client = upgraded(rig, early=b"GET /svc/smuggled HTTP/1.1\r\nhost: x\r\n\r\n")
        rig.upstream.send(accepted(**changes))
        assert client.answer().status == 502
        assert b"smuggled" not in rig.upstreams[0].transport.written


def test_a_backend_may_refuse_to_upgrade() -> None:
    with served() as rig:
        client = upgraded(rig)
        rig.upstream.send(reply(426, b"no"))
        assert client.answer().status == 426
        client.send(request("GET", "/svc"))
        assert len(rig.upstreams) == 1


def test_no_other_upgrade_is_passed_on() -> None:
    with served() as rig:
        fields = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c"}
        asked(rig, http2_settings="x", **fields)
        sent = rig.upstream.transport.written.lower()
        assert b"upgrade" not in sent
        assert b"http2" not in sent
