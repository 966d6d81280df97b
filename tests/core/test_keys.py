"""Keys: made in our shape, checked without a look-up, shown without being given away."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.keys import (
    ALPHABET,
    KEY_LENGTH_MAX,
    Kind,
    hash_key,
    is_plausible,
    make_key,
    mask,
)

entropies = st.binary(min_size=24, max_size=32)
kinds = st.sampled_from(list(Kind))


@given(kinds, entropies)
def test_a_key_has_its_prefix_its_length_and_plausible_check_digits(
    kind: Kind, entropy: bytes
) -> None:
    """prefix_ + 30 random + 6 check digits, base62 throughout."""
    key = make_key(kind, entropy)
    prefix, _, rest = key.partition("_")
    assert prefix == kind.value
    assert len(rest) == 36
    assert set(rest) <= set(ALPHABET)
    assert is_plausible(key.encode())


@given(kinds, entropies, st.integers(0, 35), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(
    kind: Kind, entropy: bytes, place: int, character: str
) -> None:
    """A typing slip is refused without asking the store: CRC-32 finds every single one."""
    key = make_key(kind, entropy)
    wrong = key[: 4 + place] + character + key[5 + place :]
    assert is_plausible(wrong.encode()) == (wrong == key)


@pytest.mark.parametrize(
    "key", [b"roc_" + b"0123456789abcdef" * 2, b"sk-anything", b"\xff\x00", b"x" * KEY_LENGTH_MAX]
)
def test_keys_made_elsewhere_skip_the_check(key: bytes) -> None:
    """Imported keys have other shapes and work unchanged."""
    assert is_plausible(key)


@pytest.mark.parametrize("key", [b"", b"x" * (KEY_LENGTH_MAX + 1)])
def test_absurd_lengths_are_no_keys(key: bytes) -> None:
    """Nothing of unbounded size is hashed or cached."""
    assert not is_plausible(key)


def test_a_key_needs_enough_entropy() -> None:
    """A short random number would make keys guessable."""
    with pytest.raises(AssertionError):
        make_key(Kind.TRIAL, b"short")


@given(st.binary(max_size=100))
def test_a_key_is_looked_up_by_its_sha256(secret: bytes) -> None:
    """The edge and old systems compute the same hash."""
    assert hash_key(secret) == hashlib.sha256(secret).digest()


@given(st.text(max_size=80))
def test_a_mask_shows_at_most_prefix_and_four_characters(secret: str) -> None:
    """Short secrets show nothing of themselves but a prefix."""
    shown = mask(secret)
    prefix, _, tail = shown.partition("…")
    assert len(tail) <= 4
    assert len(prefix) <= 9
    assert len(secret) < 12 or len(shown) < len(secret) + 2


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("roc_0123456789abcdef", "roc_…cdef"),
        ("sk-0123456789abcdef", "…cdef"),
        ("short", "…"),
        ("averylongprefix_0123456789", "…6789"),
        ("a_b", "a_…"),
    ],
)
def test_masks_look_alike_for_alike_keys(secret: str, shown: str) -> None:
    """Enough to tell keys apart in a list, not enough to use one."""
    assert mask(secret) == shown
