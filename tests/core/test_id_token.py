"""An ID token proves who somebody is, or nothing at all."""

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.base64url import decoded, encoded
from tallygate.core.id_token import BadToken, Jwk, key_id_of, parse_keys, verify
from tests.fakes.oidc import OTHER_RSA_KEY, key_set, sign

ISSUER, CLIENT, NONCE, NOW_S = "https://id.example.com", "us", "n-1", 1_770_800_000
KEYS = parse_keys(msgspec.json.encode(key_set()))
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": CLIENT,
    "sub": "ann",
    "iat": NOW_S,
    "exp": NOW_S + 300,
    "nonce": NONCE,
}
TOKEN = sign(CLAIMS)


def check(token: str, keys: tuple[Jwk, ...] = KEYS) -> dict[str, Any]:
    return verify(token, keys, issuer=ISSUER, client_id=CLIENT, nonce=NONCE, now_s=NOW_S)


def claims(**changes: Any) -> dict[str, Any]:
    changed = {**CLAIMS, **changes}
    return {name: value for name, value in changed.items() if value is not ...}


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_token_by_the_providers_key_is_believed(alg: str) -> None:
    assert check(sign(CLAIMS, alg)) == CLAIMS
    assert check(sign(CLAIMS, alg, kid=None)) == CLAIMS
    assert key_id_of(sign(CLAIMS, alg)) == alg.lower()
    several = claims(aud=["other", CLIENT], azp=CLIENT)
    assert check(sign(several, alg))["azp"] == CLIENT


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example.com"},
        {"iss": ISSUER + "/"},
        {"iss": ...},
        {"aud": "other"},
        {"aud": []},
        {"aud": ...},
        {"aud": ["other", CLIENT]},
        {"aud": ["other", CLIENT], "azp": "other"},
        {"azp": "other"},
        {"exp": NOW_S - 60},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": ...},
        {"iat": NOW_S + 61},
        {"iat": ...},
        {"nbf": NOW_S + 61},
        {"nbf": "soon"},
        {"nonce": "n-2"},
        {"nonce": ""},
        {"nonce": None},
        {"nonce": ...},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": ...},
    ],
    ids=str,
)
def test_a_claim_that_is_not_as_it_must_be_is_refused(changes: dict[str, Any]) -> None:
    """Each of these is somebody else's token, an old one, or one for another sign-in."""
    with pytest.raises(BadToken):
        check(sign(claims(**changes)))


def test_a_token_does_not_choose_how_it_is_verified() -> None:
    """The classic attacks: no signature, a public key as a secret, one key as another kind."""
    for alg in ("none", "None", "NONE", "", "HS256", "RS512", "PS256"):
        with pytest.raises(BadToken):
            check(sign(CLAIMS, alg, kid="rs256"))
    head, payload, signature = sign(CLAIMS).split(".")
    as_ec = encoded(msgspec.json.encode({"alg": "ES256", "kid": "rs256"}))
    for token in (
        f"{head}.{payload}.",
        f"{as_ec}.{payload}.{signature}",
        sign(CLAIMS, kid="es256"),
        sign(CLAIMS, kid="unknown"),
        sign(CLAIMS, crit=["exp"]),
    ):
        with pytest.raises(BadToken):
            check(token)


def test_a_signature_by_anybody_else_is_refused() -> None:
    head, payload, _ = sign(CLAIMS).split(".")
    forged = OTHER_RSA_KEY.sign(f"{head}.{payload}".encode(), padding.PKCS1v15(), SHA256())
    with pytest.raises(BadToken, match="none of the provider's keys"):
        check(f"{head}.{payload}.{encoded(forged)}")
    with pytest.raises(BadToken):
        check(sign(CLAIMS), ())


@given(st.integers(0, 2), st.data())
def test_one_changed_character_anywhere_is_noticed(part: int, data: st.DataObject) -> None:
    pieces = TOKEN.split(".")
    place = data.draw(st.integers(0, len(pieces[part]) - 2))  # the last one may hold unused bits
    old = pieces[part][place]
    new = data.draw(st.sampled_from([one for one in "ABab01-_.=" if one != old]))
    pieces[part] = pieces[part][:place] + new + pieces[part][place + 1 :]
    with pytest.raises(BadToken):
        check(".".join(pieces))


@given(st.text(max_size=60))
def test_whatever_is_no_token_is_refused_and_breaks_nothing(text: str) -> None:
    for token in (text, f"{text}.{text}.{text}"):
        with pytest.raises(BadToken):
            check(token)


def test_keys_that_are_broken_sign_nothing() -> None:
    """A provider's slip must refuse people, not let them in or crash."""
    for spoilt in ({"n": "AQAB"}, {"n": "!"}, {"e": ""}, {"use": "enc"}, {"alg": "RS512"}):
        one = key_set()["keys"][0] | spoilt
        keys = parse_keys(msgspec.json.encode({"keys": [one]}))
        with pytest.raises(BadToken):
            check(sign(CLAIMS), keys)
    for spoilt in ({"crv": "P-384"}, {"x": "AAAA"}, {"y": "="}):
        one = key_set()["keys"][1] | spoilt
        with pytest.raises(BadToken):
            check(sign(CLAIMS, "ES256"), parse_keys(msgspec.json.encode({"keys": [one]})))
    for document in (b"", b"[]", b'{"keys": 1}', b'{"keys": [{}]}', b"\xff"):
        with pytest.raises(BadToken):
            parse_keys(document)


def test_base64url_is_taken_strictly() -> None:
    for text in ("YQ==", "Y Q", "a", "ä", "a+/a"):
        with pytest.raises(ValueError):
            decoded(text)
    assert decoded(encoded(b"\xff\xfe\xfd")) == b"\xff\xfe\xfd"
