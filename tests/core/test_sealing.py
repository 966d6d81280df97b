"""Sealed secrets open with their key, in their place, unchanged; and in no other way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.sealing import MASTER_KEY_BYTES, NONCE_BYTES, Unsealable, seal, unseal

KEY = bytes(range(MASTER_KEY_BYTES))
nonces = st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES)


@given(st.binary(max_size=200), st.text(max_size=40), nonces)
def test_what_is_sealed_opens_again(secret: bytes, purpose: str, nonce: bytes) -> None:
    """Of any length and content, the empty secret included."""
    sealed = seal(KEY, secret, purpose, nonce)
    assert unseal(KEY, sealed, purpose) == secret
    assert len(secret) < 8 or secret not in sealed[1 + NONCE_BYTES :]


@given(st.binary(max_size=40), nonces, st.data())
def test_any_changed_bit_is_noticed(secret: bytes, nonce: bytes, data: st.DataObject) -> None:
    """A damaged or forged row must not open to something else."""
    sealed = bytearray(seal(KEY, secret, "p", nonce))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Unsealable):
        unseal(KEY, bytes(sealed), "p")


def test_a_secret_copied_to_another_row_does_not_open() -> None:
    """Whoever can write to the database must not be able to swap credentials."""
    sealed = seal(KEY, b"secret", "provider/1", bytes(NONCE_BYTES))
    with pytest.raises(Unsealable, match="master key"):
        unseal(KEY, sealed, "provider/2")


def test_another_master_key_is_named_as_the_cause() -> None:
    """The operator lost the key file: the message says where to look."""
    sealed = seal(KEY, b"secret", "p", bytes(NONCE_BYTES))
    with pytest.raises(Unsealable, match="master key"):
        unseal(bytes(MASTER_KEY_BYTES), sealed, "p")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" + bytes(40), b"\x01" + bytes(12)])
def test_bytes_that_were_never_sealed_do_not_open(sealed: bytes) -> None:
    """Truncated or foreign bytes are refused before any cryptography."""
    with pytest.raises(Unsealable):
        unseal(KEY, sealed, "p")


def test_a_nonce_of_another_length_is_a_bug() -> None:
    """Twelve bytes, fresh each time: the caller's duty."""
    with pytest.raises(AssertionError):
        seal(KEY, b"secret", "p", b"short")
