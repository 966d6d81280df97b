"""A code is long enough never to be guessed, and forgiving to whoever types it."""

from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.redeem import ENTROPY_BYTES, hash_code, make_code, mask_code

entropies = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)


def test_a_code_has_more_than_a_hundred_bits() -> None:
    assert ENTROPY_BYTES * 8 >= 100
    assert make_code(b"\xff" * ENTROPY_BYTES) == "tgr_" + "-".join(["ZZZZZZ"] * 4)


@given(one=entropies, other=entropies)
def test_different_entropy_makes_different_codes(one: bytes, other: bytes) -> None:
    """Not a bit of it is lost on the way into symbols or into the hash."""
    assert (make_code(one) == make_code(other)) == (one == other)
    assert (hash_code(make_code(one)) == hash_code(make_code(other))) == (one == other)


@given(entropy=entropies)
def test_how_a_code_is_typed_does_not_matter(entropy: bytes) -> None:
    code = make_code(entropy)
    plain = code.replace("-", "")
    typed = [code.lower(), plain, f" {plain.lower()} ", plain.replace("0", "o"), code[4:]]
    typed += [plain.replace("1", "l"), code.replace("-", " ")]
    assert {hash_code(one) for one in typed} == {hash_code(code)}
    assert hash_code(code + "0") != hash_code(code)


def test_a_mask_shows_only_the_end() -> None:
    assert mask_code(make_code(bytes(ENTROPY_BYTES))) == "tgr_…0000"
