"""Hostile clients against a real `tallygate serve`.

Whatever is sent, the answer is a clean 4xx or a closed connection, or a proper answer where the
bytes were harmless after all. After each test the workers are the same processes as before, no
exchange is left running upstream, and the upstream has seen nothing but whole, well-formed requests
that carry its own credential.
"""

import itertools
import json
import random
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httptools
import pytest

from tests.fakes.exchange import Seen
from tests.fakes.upstream import RunningUpstream, running
from tests.system.harness import Node, until
from tests.system.raw_client import Reply, mutated, request, talk

pytestmark = pytest.mark.slow

HEAD_BYTES_MAX = 16_384
BODY_BYTES_MAX = 262_144
SETTINGS = {
    "TALLYGATE_HEAD_BYTES_MAX": str(HEAD_BYTES_MAX),
    "TALLYGATE_METERED_BODY_BYTES_MAX": str(BODY_BYTES_MAX),
    "TALLYGATE_HEAD_TIMEOUT_S": "2",
    "TALLYGATE_BODY_TIMEOUT_S": "2",
    "TALLYGATE_WRITE_TIMEOUT_S": "3",
    "TALLYGATE_IDLE_TIMEOUT_S": "5",
    "TALLYGATE_CLIENT_GONE_DRAIN_S": "1",
    "TALLYGATE_UPSTREAM_IDLE_S": "2",
}
SECRET = "sk-upstream"
# Short, since a client that closes its end may still be reading: only deadlines tell.
PROVIDER = {
    "name": "fake",
    "protocol": "openai",
    "secret": SECRET,
    "first_byte_ms": 3000,
    "between_bytes_ms": 3000,
}
BODY = b'{"model":"fake-chat","messages":[{"role":"user","content":"hello"}]}'
STREAM = BODY[:-1] + b',"stream":true}'
MUTATIONS = 1_000
AT_ONCE = 40
# A key under a name that chance has made up goes on like any header that nobody knows.
NEVER_UPSTREAM = {
    *(b"upgrade", b"expect", b"te", b"trailer"),
    *(b"x-api-key", b"x-trial-key", b"x-admin-token", b"cookie"),
}
TRICKLED = 100  # bytes, ten a second: far beyond the time for a head and for lingering


@dataclass
class Site:
    """The server under attack, a key for it, and what is behind it."""

    node: Node
    upstream: RunningUpstream
    key: str

    @property
    def port(self) -> int:
        return self.node.port

    @property
    def bearer(self) -> str:
        return f"Authorization: Bearer {self.key}"

    def post(self, *lines: str | bytes, body: bytes = BODY, **options: str) -> bytes:
        """A valid chat but for the lines that are added."""
        return request(self.bearer, f"Content-Length: {len(body)}", *lines, body=body, **options)

    def unframed(self, *lines: str | bytes, body: bytes = BODY, **options: str) -> bytes:
        """A chat without any framing but that of the lines."""
        return request(self.bearer, *lines, body=body, **options)

    def chunked(self, body: bytes, *lines: str | bytes, **options: str) -> bytes:
        return self.unframed("Transfer-Encoding: chunked", *lines, body=body, **options)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("hostile")
    with running() as upstream, Node(folder, settings=SETTINGS) as node:
        node.admin("POST", "/api/providers", PROVIDER | {"base_url": upstream.base_url})
        yield Site(node, upstream, node.make_key(None))


@pytest.fixture(autouse=True)
def unharmed(site: Site) -> Iterator[None]:
    """What every test must leave behind."""
    workers = gateways(site.node)
    seen_before = len(site.upstream.stats.seen)
    yield
    until(lambda: site.upstream.stats.running == 0, "an exchange is left running upstream")
    assert gateways(site.node) == workers, "a worker died"
    assert site.upstream.stats.faults == [], "the upstream was sent what no honest client sends"
    for seen in itertools.islice(site.upstream.stats.seen, seen_before, None):
        check_whole(site, seen)
    reply = talk(site.port, [site.post()])
    assert reply.statuses == [200], f"an honest client is not served any more: {reply}"


def gateways(node: Node) -> dict[str, int]:
    return {name: pid for name, pid in node.pids().items() if name.startswith("gateway")}


def check_whole(site: Site, seen: Seen) -> None:
    """A request at the upstream that some client has smuggled its bytes into fails here."""
    names = [name.lower() for name, _ in seen.headers]
    assert seen.target in (b"/v1/chat/completions", b"/v1/models"), seen
    assert seen.is_whole, seen
    assert names.count(b"host") == 1, seen
    if seen.method == b"POST":
        assert names.count(b"content-length") + names.count(b"transfer-encoding") == 1, seen
        assert isinstance(json.loads(seen.body), dict), seen
    assert seen.header(b"authorization") == f"Bearer {SECRET}".encode(), seen
    assert names.count(b"authorization") == 1, seen
    assert not NEVER_UPSTREAM & set(names), seen
    assert site.key.encode() not in seen.body, seen


def refused(site: Site, sent: bytes | Iterable[bytes]) -> Reply:
    """A clean 4xx and then the end, or just the end; and nothing of it upstream."""
    before = site.upstream.stats.total
    reply = talk(site.port, [sent] if isinstance(sent, bytes) else sent)
    assert not reply.has_hung, reply
    assert not reply.is_partial, reply
    assert all(400 <= status < 500 for status in reply.statuses), reply
    assert len(reply.answers) <= 1, reply
    assert reply.is_closed, f"a connection that cannot be trusted any more stays open: {reply}"
    assert site.upstream.stats.total == before, "what was refused went upstream"
    return reply


# --- framing ---

FRAMINGS: dict[str, tuple[str, ...]] = {
    "both framings": ("Content-Length: 5", "Transfer-Encoding: chunked"),
    "both, the other way round": ("Transfer-Encoding: chunked", "Content-Length: 5"),
    "two different lengths": ("Content-Length: 68", "Content-Length: 5"),
    "the same length twice": ("Content-Length: 68", "Content-Length: 68"),
    "a list of lengths": ("Content-Length: 68, 68",),
    "a negative length": ("Content-Length: -1",),
    "a signed length": ("Content-Length: +68",),
    "a hexadecimal length": ("Content-Length: 0x44",),
    "an empty length": ("Content-Length:",),
    "a length beyond 64 bits": ("Content-Length: 99999999999999999999999",),
    "gzip, chunked": ("Transfer-Encoding: gzip, chunked",),
    "chunked, identity": ("Transfer-Encoding: chunked, identity",),
    "chunked twice in one": ("Transfer-Encoding: chunked, chunked",),
    "chunked twice": ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "xchunked": ("Transfer-Encoding: xchunked",),
    "quoted chunked": ('Transfer-Encoding: "chunked"',),
    "chunked after a tab": ("Transfer-Encoding:\x0bchunked",),
    "identity": ("Transfer-Encoding: identity",),
    "a space before the colon": ("Content-Length : 68",),
    "a length under an odd name": ("Content-Length: 68", "Content_Length\x00: 5"),
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_a_body_whose_length_is_in_doubt_is_refused(site: Site, name: str) -> None:
    """Two parsers that disagree on where a request ends is how requests are smuggled."""
    refused(site, site.unframed(*FRAMINGS[name]))


def test_chunked_on_http_1_0_is_refused(site: Site) -> None:
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    refused(site, site.chunked(body, version="HTTP/1.0"))


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \nhello\r\n0\r\n\r\n",
        b"\r\nhello",
        b"ffffffffffffffffffff\r\nhello",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
    ],
)
def test_bad_chunks_are_refused(site: Site, body: bytes) -> None:
    refused(site, site.chunked(body))


def test_a_chunked_body_in_single_bytes_is_served(site: Site) -> None:
    """Odd but legal: refusing it would be wrong."""
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
    assert talk(site.port, [site.chunked(body)]).statuses == [200]


def test_trailers_are_dropped_and_authenticate_nobody(site: Site) -> None:
    chunk = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    trailer = site.bearer.encode() + b"\r\n\r\n"
    anonymous = request("Transfer-Encoding: chunked", body=chunk + trailer)
    assert talk(site.port, [anonymous]).statuses in ([401], [400])
    known = site.chunked(chunk + b"X-Tallygate-User: root\r\n\r\n")
    assert talk(site.port, [known]).statuses in ([200], [400])


# --- heads ---

HEADS: dict[str, bytes] = {
    "two Hosts": request("Host: gate", "Host: other", host=None, method="GET", target="/healthz"),
    "no Host": request(host=None, method="GET", target="/healthz"),
    "a Host with a path": request(host="gate/evil", method="GET", target="/healthz"),
    "absolute-form of another host": request(method="GET", target="http://other/healthz"),
    "obs-fold": request("X-A: one", " two", method="GET", target="/healthz"),
    "a null byte in a value": request("X-A: o\x00ne", method="GET", target="/healthz"),
    "a null byte in a name": request("X\x00A: one", method="GET", target="/healthz"),
    "a null byte in the target": request(method="GET", target="/health\x00z"),
    "a name with a space": request("X A: one", method="GET", target="/healthz"),
    "no name": request(": one", method="GET", target="/healthz"),
    "no colon": request("just words", method="GET", target="/healthz"),
    "bare CR in a value": request("X-A: one\rX-B: two", method="GET", target="/healthz"),
    "bare LF line ends": b"GET /healthz HTTP/1.1\nHost: gate\n\n",
    "a method of garbage": request(method="G@T", target="/healthz"),
    "a lower-case method": request(method="get", target="/healthz"),
    "no target": b"GET HTTP/1.1\r\nHost: gate\r\n\r\n",
    "a target with a space": request(method="GET", target="/health z"),
    "HTTP/0.9": b"GET /healthz\r\n",
    "HTTP/1.2 misspelt": request(method="GET", target="/healthz", version="HTTP/1.2x"),
    "HTTP/3.0": request(method="GET", target="/healthz", version="HTTP/3.0"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a TLS hello": bytes.fromhex("160301006b0100006703030000000000000000") + b"\x00" * 90,
    "random bytes": random.Random(7).randbytes(2000),
    "CONNECT": request(method="CONNECT", target="other:443"),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_breaks_the_grammar_is_refused(site: Site, name: str) -> None:
    refused(site, HEADS[name])


def test_empty_lines_before_a_request_are_ignored(site: Site) -> None:
    """Old clients send one after a body (RFC 9112, 2.2)."""
    for lines in (b"\r\n", b"\r\n\r\n\r\n"):
        assert talk(site.port, [lines + site.post()]).statuses == [200]
        assert talk(site.port, [lines[:1], lines[1:], site.post()]).statuses == [200]


PATHS = [
    "/v1/../admin/keys",
    "/v1/./chat/completions",
    "/v1/%2e%2e/admin/keys",
    "/v1/%2E%2e/admin/keys",
    "/v1/..",
    "/v1/chat%2fcompletions",
    "/v1/chat%2Fcompletions",
    "/v1/chat%5ccompletions",
    "/v1\\chat\\completions",
    "/v1/chat%00/completions",
    "//v1/chat/completions",
    "/v1//chat/completions",
    "/v1/chat/completions/..;/",
    "/v1/chat/completions#fragment",
    "/v1/chat/completions%",
    "/v1/chat/completions%zz",
    "v1/chat/completions",
    "*",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_could_mean_another_is_refused(site: Site, path: str) -> None:
    """What is matched here must be what the upstream reads."""
    before = site.upstream.stats.total
    reply = talk(site.port, [site.post(target=path)])
    assert len(reply.statuses) == 1 and 400 <= reply.statuses[0] < 500, reply
    assert site.upstream.stats.total == before, "what was refused went upstream"


# --- sizes and times ---


def test_a_head_that_is_too_large_is_refused(site: Site) -> None:
    refused(site, site.post("X-Filler: " + "x" * (2 * HEAD_BYTES_MAX)))
    refused(site, site.post(target="/v1/" + "x" * (2 * HEAD_BYTES_MAX)))


def test_endless_headers_are_cut_off(site: Site) -> None:
    """A head is bounded while it arrives, not when it is complete."""
    endless = (b"X-%d: endless\r\n" % number for number in range(40_000))
    refused(site, itertools.chain([b"GET /healthz HTTP/1.1\r\nHost: gate\r\n"], endless))


def test_slow_heads_are_cut_off_however_they_trickle(site: Site) -> None:
    """A byte now and then must not buy more time."""
    refused_for_time(site, [b"GET /healthz HT"])
    refused_for_time(site, [b"GET /healthz HTTP/1.1\r\nHost: gate\r\n"])
    taken = 0

    def trickle() -> Iterator[bytes]:
        nonlocal taken
        yield b"GET /healthz HTTP/1.1\r\nX-A: "
        while taken < TRICKLED:
            time.sleep(0.1)
            taken += 1
            yield b"X"

    refused_for_time(site, trickle())
    assert taken < TRICKLED, "every byte bought more time"


def refused_for_time(site: Site, pieces: Iterable[bytes]) -> None:
    reply = talk(site.port, pieces)
    assert reply.is_closed and reply.statuses in ([408], []), reply


def test_a_body_that_does_not_come_is_given_up(site: Site) -> None:
    refused_for_time(site, [site.post()[:-10]])
    refused_for_time(site, [site.chunked(b"44\r\n{")])


def test_an_oversized_body_is_refused_before_it_is_sent(site: Site) -> None:
    head = request(site.bearer, "Content-Length: 1000000000")
    assert talk(site.port, [head]).statuses == [413]
    body = b'{"model":"' + b"x" * BODY_BYTES_MAX + b'"}'
    assert talk(site.port, [site.post(body=body)]).statuses == [413]


def test_an_oversized_chunked_body_is_refused(site: Site) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    reply = talk(site.port, [site.chunked(b""), *[chunk] * 8])
    assert reply.statuses in ([413], []), reply
    assert not reply.has_hung


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"model":"fake-chat","model":"other","messages":[]}',
        b'{"model":"fake-chat","Model":"other","messages":[]}',
        b'{"model":"fake-chat","stream":true,"stream":false}',
        b"[" * 100_000,
        b'{"model":' * 20_000,
        b"\xff\xfe{\x00}\x00",
        b'{"model":"fake-chat\xff"}',
        b'{"model":1e999}',
        b'{"model":"fake-chat","max_tokens":-1}',
        b'{"model":"fake-chat","n":1e30}',
    ],
)
def test_a_body_that_could_be_read_in_two_ways_is_refused(site: Site, body: bytes) -> None:
    """The gate meters what it reads; the upstream must not read anything else."""
    before = site.upstream.stats.total
    reply = talk(site.port, [site.post(body=body)])
    assert reply.statuses in ([400], [413], [422]), reply
    assert site.upstream.stats.total == before


# --- connections ---


def test_pipelined_requests_are_answered_in_their_order(site: Site) -> None:
    health = request(method="GET", target="/healthz")
    reply = talk(site.port, [site.post() + health + site.post(body=STREAM) + health], answers=4)
    assert reply.statuses == [200, 200, 200, 200], reply
    assert reply.answers[1].body == reply.answers[3].body == b'{"ok":true}'
    assert reply.answers[2].body.endswith(b"data: [DONE]\n\n")


def test_pipelined_garbage_does_not_spoil_the_answer_before_it(site: Site) -> None:
    reply = talk(site.port, [site.post() + b"\x00garbage \xff\r\n\r\n"], answers=2)
    assert reply.statuses in ([200, 400], [200]), reply
    assert reply.is_closed, reply


def test_a_thousand_pipelined_requests_are_bounded(site: Site) -> None:
    health = request(method="GET", target="/healthz")
    reply = talk(site.port, [health * 1000], answers=1000)
    assert set(reply.statuses) == {200}, reply
    assert len(reply.answers) == 1000 or reply.is_closed, reply


def test_a_half_closed_client_is_answered_or_left(site: Site) -> None:
    for body in (BODY, STREAM):
        reply = talk(site.port, [site.post(body=body)], half_close=True)
        assert not reply.has_hung, reply
        assert reply.statuses in ([200], []), reply
        assert not reply.is_partial or reply.is_closed, reply


def test_a_half_sent_request_that_is_half_closed_is_closed(site: Site) -> None:
    for cut in (1, 20, len(site.post()) - 5):
        reply = talk(site.port, [site.post()[:cut]], half_close=True)
        assert not reply.has_hung, reply
        assert reply.statuses in ([], [400]), reply


def test_clients_that_vanish_leave_nothing_running(site: Site) -> None:
    """Reset or closed in the middle of a stream, of a large answer and of a wait."""
    for behaviour in ("paced-chunks-400", "big-8", "stall", "stall-stream"):
        sent = site.post(f"X-Fake-Behaviour: {behaviour}", body=STREAM)
        for is_reset in (True, False) * 5:
            with socket.create_connection(("127.0.0.1", site.port), 5) as connection:
                connection.sendall(sent)
                if behaviour != "stall":
                    assert connection.recv(100)
                if is_reset:
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def test_a_client_that_does_not_read_is_given_up(site: Site) -> None:
    """It would hold a large answer in memory for as long as it likes."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", site.port))
        connection.sendall(site.post("X-Fake-Behaviour: big-64"))
        until(lambda: site.upstream.stats.running == 0, "the upstream waits for a client's reading")


def test_upgrades_are_not_granted_to_metered_calls(site: Site) -> None:
    """A connection that became something else would pass unmetered bytes."""
    h2c = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    socket_lines = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    smuggled = request(method="GET", target="/smuggled")
    for lines in (h2c, socket_lines):
        for sent in (
            site.post(*lines) + smuggled,
            site.unframed(*lines, method="GET", body=b"") + smuggled,
        ):
            reply = talk(site.port, [sent])
            assert 101 not in [*reply.statuses, *reply.informational], reply
            assert not reply.has_hung, reply
            assert all(status == 200 or 400 <= status < 500 for status in reply.statuses), reply


def test_expect_100_continue_is_honoured(site: Site) -> None:
    sent = site.post("Expect: 100-continue")
    head, body = sent[: -len(BODY)], sent[-len(BODY) :]
    with socket.create_connection(("127.0.0.1", site.port), 5) as connection:
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_expect_does_not_invite_a_body_that_is_refused(site: Site) -> None:
    head = request("Content-Length: 68", "Expect: 100-continue")
    reply = talk(site.port, [head])
    assert reply.statuses in ([401], [417]) or reply.informational == [100], reply
    large = request(site.bearer, "Content-Length: 1000000000", "Expect: 100-continue")
    reply = talk(site.port, [large])
    assert reply.statuses == [413] and reply.informational == [], reply


def test_headers_that_only_we_may_set_do_not_come_in(site: Site) -> None:
    lines = ("X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "X-Tallygate-Key: 1")
    hops = ("Connection: keep-alive, X-Secret", "X-Secret: hop", "TE: trailers", "Keep-Alive: 5")
    assert talk(site.port, [site.post(*lines, *hops)]).statuses == [200]
    headers = site.upstream.stats.seen[-1].headers
    unwanted = {b"x-tallygate-key", b"x-secret", b"keep-alive"}
    assert not {name.lower() for name, _ in headers} & unwanted
    assert not [value for _, value in headers if b"10.0.0.1" in value]


# --- chance ---


def test_a_thousand_mutations_of_valid_requests_do_no_harm(site: Site) -> None:
    """Run again with the printed seed to see the same bytes."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    valid = [
        site.post("Content-Type: application/json", "Accept: */*"),
        site.post("Content-Type: application/json", body=STREAM),
        site.chunked(chunked),
        request(site.bearer, method="GET", target="/v1/models"),
        request("Connection: close", method="GET", target="/healthz"),
    ]
    sent = [mutated(chance.choice(valid), chance) for _ in range(MUTATIONS)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        replies = list(pool.map(lambda data: _reply(site.port, data), sent))
    for data, reply in zip(sent, replies, strict=True):
        wrong = _wrong(reply)
        assert not wrong, f"seed {seed}: {wrong}\nsent {data!r}\ngot {reply}"


def _reply(port: int, data: bytes) -> Reply | httptools.HttpParserError:
    try:
        return talk(port, [data])
    except httptools.HttpParserError as error:
        return error


def _wrong(reply: Reply | httptools.HttpParserError) -> str:
    if isinstance(reply, httptools.HttpParserError):
        return f"the answer is not HTTP: {reply}"
    if reply.has_hung:
        return "neither answered nor closed"
    if any(status >= 500 for status in reply.statuses):
        return "a client's bytes are not the server's failure"
    return ""


def test_no_upstream_connection_is_left_behind(site: Site) -> None:
    """After all of the above: what is idle is closed in its time, and nothing else is open."""
    until(lambda: site.upstream.stats.connections_open == 0, "upstream connections have leaked")
