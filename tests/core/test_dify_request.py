"""Whoever a client says the user is, Dify hears of ours, and of nobody else."""

import json
import urllib.parse
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.dialect import Dialect
from tallygate.core.dify_request import in_json, in_query, read_call, with_user
from tallygate.core.request import BadRequest

ANN = "ann@example.com"
FORM = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=XX"


def sent(body: bytes) -> bytes:
    request = read_call(Dialect.DIFY_CHAT, body, "m")
    return in_json(body, request.members, ANN)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"query":"hi","user":"bob"}', b'{"query":"hi","user":"ann@example.com"}'),
        (b'{"user" : {"a":1}, "x":1}', b'{"user" : "ann@example.com", "x":1}'),
        (b'{"query":"hi"}', b'{"user":"ann@example.com","query":"hi"}'),
        (b"{}", b'{"user":"ann@example.com"}'),
        (b' { "a" : 1 } ', b' {"user":"ann@example.com", "a" : 1 } '),
        (
            b'{"user":"bob","trace_id":"stolen"}',
            b'{"user":"ann@example.com","trace_id":null}',
        ),
    ],
)
def test_the_user_of_a_call_is_ours(body: bytes, expected: bytes) -> None:
    """Every other byte stays as it was sent."""
    assert sent(body) == expected


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(), max_size=5))
def test_whatever_else_is_in_a_body_stays(value: dict) -> None:
    for body in (json.dumps(value).encode(), json.dumps(value | {"user": "bob"}).encode()):
        expected = value | {"user": ANN}
        if "trace_id" in expected:
            expected["trace_id"] = None
        assert json.loads(sent(body)) == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"user":"ann","user":"bob"}',
        b'{"user":"ann","\\u0075ser":"bob"}',
        b'{"response_mode":"blocking","response_mode":"streaming"}',
        b'{"trace_id":"a","trace_id":"b"}',
        b'{"response_mode":"STREAMING"}',
        b'{"response_mode":true}',
        b"[]",
        b"",
        b"{",
        b'{"user":"\xff"}',
        '{"user":"bob"}'.encode("utf-16"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(body: bytes) -> None:
    """Dify's parser is not ours: it would take the last of two, or another encoding."""
    with pytest.raises(BadRequest):
        sent(body)


@pytest.mark.parametrize(
    ("mode", "is_stream"), [('"streaming"', True), ('"blocking"', False), ("null", False)]
)
def test_the_mode_is_read(mode: str, is_stream: bool) -> None:
    body = f'{{"query":"hi","response_mode":{mode}}}'.encode()
    assert read_call(Dialect.DIFY_CHAT, body, "m").is_stream is is_stream
    assert read_call(Dialect.DIFY_CHAT, b"{}", "m").is_stream is False


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"user=bob",
        b"user=bob&user=eve",
        b"%75ser=bob&u%73er=eve",
        b"user",
        b"&&user=&",
        b"trace_id=stolen&%74race_id=x",
    ],
)
def test_a_query_says_our_user_once(query: bytes) -> None:
    assert in_query(query, ANN) == b"user=ann%40example.com"


def test_the_rest_of_a_query_stays_as_it_was() -> None:
    query = b"conversation_id=1&first_id=%41&user=bob&x=a+b&superuser=1"
    assert in_query(query, "a&b=c") == (
        b"conversation_id=1&first_id=%41&x=a+b&superuser=1&user=a%26b%3Dc"
    )


def test_a_form_says_our_user() -> None:
    body, kind = with_user(b"user=bob&a=1", FORM + b"; charset=utf-8", ANN)
    assert urllib.parse.parse_qs(body.decode()) == {"a": ["1"], "user": [ANN]}
    assert kind.startswith(FORM)


@pytest.mark.parametrize("kind", [b"", b"text/plain", b"application/json; charset=latin-1"])
def test_whatever_it_is_called_else_is_json(kind: bytes) -> None:
    """A body that Dify might read in another way than we did does not reach it."""
    assert with_user(b'{"user":"bob"}', kind, ANN) == (
        b'{"user":"ann@example.com"}',
        b"application/json",
    )
    assert with_user(b"", kind, ANN) == (b'{"user":"ann@example.com"}', b"application/json")
    with pytest.raises(BadRequest):
        with_user(b"user=bob", kind, ANN)


def part(name: str, content: bytes, more: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"{more}\r\n'
    return b"--XX\r\n" + head.encode() + b"\r\n" + content + b"\r\n"


def fields(body: bytes, kind: bytes) -> list[tuple[str, bytes]]:
    """As an independent parser reads a form."""
    raw = b"Content-Type: " + kind + b"\r\n\r\n" + body
    message = message_from_bytes(raw, policy=policy.HTTP)
    return [
        (str(one.get_param("name", header="content-disposition")), one.get_payload(decode=True))
        for one in message.iter_parts()
    ]


FILE = bytes(range(256)) + b"\r\n--X\r\n"


@pytest.mark.parametrize("before", [b"", part("user", b"bob"), part("user", b"bob") * 3])
def test_an_upload_says_our_user_and_keeps_its_file(before: bytes) -> None:
    body = before + part("file", FILE, '; filename="user.txt"') + b"--XX--\r\n"
    changed, kind = with_user(body, MULTIPART, ANN)
    assert kind == MULTIPART
    assert fields(changed, kind) == [("user", ANN.encode()), ("file", FILE)]
    assert part("file", FILE, '; filename="user.txt"') in changed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--XX",
        part("file", b"x"),
        b"preamble\r\n" + part("file", b"x") + b"--XX--",
        part("file", b"x\n--XX\nContent-Disposition: form-data; name=user\n\nbob") + b"--XX--",
        part("a", b"x").replace(b'name="a"', b"name*=utf-8''%75ser") + b"--XX--",
        part("a", b"x").replace(b"; name", b";\r\n name") + b"--XX--",
        part("a", b"x").replace(b'name="a"', b'name="a"; name="user"') + b"--XX--",
        part("a", b"x").replace(b"Content-Disposition", b"X") + b"--XX--",
        b"--XX\r\nno head" + b"\r\n--XX--",
    ],
)
def test_an_upload_that_two_parsers_could_read_differently_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        with_user(body, MULTIPART, ANN)


@pytest.mark.parametrize(
    "kind",
    [
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=XX; boundary=YY",
        b"multipart/form-data; boundary*=utf-8''XX; boundary=XX",
    ],
)
def test_a_boundary_must_be_clear(kind: bytes) -> None:
    with pytest.raises(BadRequest):
        with_user(part("file", b"x") + b"--XX--", kind, ANN)


def test_names_with_escapes_are_ours_too() -> None:
    body = part(r"us\er", b"bob") + part("a", b"1") + b"--XX--"
    assert [name for name, _ in fields(with_user(body, MULTIPART, ANN)[0], MULTIPART)] == [
        "user",
        "a",
    ]
