"""Header fields pass the gateway as the shared file says: the edge is held to the same cases."""

import json
from pathlib import Path
from typing import Any

import pytest

from tallygate.core.routes import HeaderRules
from tallygate.gateway.backend_headers import answer_lines, request_lines
from tallygate.wire.answer import parse_answer_head
from tallygate.wire.head import parse_request_head

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "contract" / "edge-vectors.json").read_text("utf-8"))

Fields = list[list[str]]


def cases(of: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in VECTORS[of]]


def rules_of(case: Any) -> HeaderRules:
    rules = case["rules"]
    return HeaderRules(tuple(rules["remove"]), rules["rename"], rules["add"])


def lines_of(fields: Fields) -> bytes:
    return b"".join(f"{name}: {value}\r\n".encode() for name, value in fields)


def fields_of(lines: bytes) -> Fields:
    split = [line.decode().partition(":") for line in lines.split(b"\r\n") if line]
    return [[name.lower(), value.strip()] for name, _, value in split]


@pytest.mark.parametrize("case", cases("request_headers"))
def test_what_goes_on_to_a_backend_is_as_the_shared_file_says(case: Any) -> None:
    """A credential that one gate withholds must not leave by the other."""
    head = parse_request_head(
        b"GET / HTTP/1.1\r\nhost: gate.test\r\n" + lines_of(case["fields"]) + b"\r\n"
    )
    assert fields_of(request_lines(head, rules_of(case))) == case["forwarded"]


@pytest.mark.parametrize("case", cases("answer_headers"))
def test_what_comes_back_from_a_backend_is_as_the_shared_file_says(case: Any) -> None:
    """Nor may a backend touch our cookies or our origin by either of them."""
    head = parse_answer_head(b"HTTP/1.1 200 OK\r\n" + lines_of(case["fields"]) + b"\r\n")
    lines = answer_lines(head.kept, rules_of(case), is_on_our_origin=not case["has_host"])
    assert fields_of(lines) == case["answered"]
