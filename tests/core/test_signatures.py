"""Who signed a delivery: a forged one is money out of somebody's wallet."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.signatures import SKEW_S_MAX, is_plainly_signed, is_signed, sign

KEY, NOW_S, BODY = b"k" * 24, 1_770_800_000, b'{"event":"message_end"}'


def is_right(signatures: str, **changes: object) -> bool:
    values = {"message_id": "msg_1", "timestamp": str(NOW_S), "body": BODY, "now_s": NOW_S}
    both = values | changes
    return is_signed(KEY, signatures=signatures, **both)  # type: ignore[arg-type]  # as named


def test_a_signature_over_id_time_and_body_is_right() -> None:
    assert is_right(sign(KEY, "msg_1", NOW_S, BODY))


def test_one_right_signature_among_several_is_enough() -> None:
    """While a secret is rotated, senders sign with the old and the new one."""
    mine, other = sign(KEY, "msg_1", NOW_S, BODY), sign(b"old" * 8, "msg_1", NOW_S, BODY)
    assert is_right(f"{other} v2,whatever {mine}")
    assert not is_right(f"{other} v2,whatever")


@pytest.mark.parametrize(
    "changes",
    [
        {"message_id": "msg_2"},
        {"message_id": ""},
        {"timestamp": str(NOW_S + 1)},
        {"timestamp": ""},
        {"timestamp": "now"},
        {"timestamp": "１７７０８０００００"},
        {"timestamp": "9" * 400},
        {"body": BODY + b" "},
        {"now_s": NOW_S + SKEW_S_MAX + 1},
        {"now_s": NOW_S - SKEW_S_MAX - 1},
    ],
)
def test_whatever_is_changed_makes_it_wrong(changes: dict[str, object]) -> None:
    """A captured delivery is worth nothing under another id, time or body, nor a while later."""
    assert not is_right(sign(KEY, "msg_1", NOW_S, BODY), **changes)


def test_a_clock_may_be_off_a_little() -> None:
    signed = sign(KEY, "msg_1", NOW_S, BODY)
    assert is_right(signed, now_s=NOW_S + SKEW_S_MAX)
    assert is_right(signed, now_s=NOW_S - SKEW_S_MAX)


def test_a_plain_signature_is_of_the_raw_body() -> None:
    right = "sha256=" + hmac.digest(KEY, BODY, hashlib.sha256).hex()
    assert is_plainly_signed(KEY, right, BODY)
    assert is_plainly_signed(KEY, f" {right.upper()} ", BODY)
    assert not is_plainly_signed(KEY, right, BODY + b"\n")
    assert not is_plainly_signed(KEY, right.removeprefix("sha256="), BODY)


@given(st.text(max_size=80))
def test_no_text_is_a_signature_by_chance_or_an_error(text: str) -> None:
    assert not is_right(text)
    assert not is_plainly_signed(KEY, text, BODY)
