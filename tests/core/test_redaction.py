"""What is kept of a refused delivery holds no secret, and can still be sent in again."""

import json

import pytest

from tallygate.core.redaction import redacted

SECRETS = {
    "api_key": "anything at all",
    "X-Api-Key": "k",
    "client_secret": 'with "quotes" and \\ in it',
    "password": "hunter2",
    "Authorization": "Basic dXNlcjpwYXNz",
    "refresh_token": "r-1",
    "cookie": "session=1",
}
EVENT = {
    "event": "message_end",
    "data": {"message_id": "m", "user_id": "u", "input_tokens": 1, "total_tokens": 3},
}


@pytest.mark.parametrize(("name", "value"), SECRETS.items())
def test_members_that_hold_secrets_are_emptied(name: str, value: str) -> None:
    kept = json.loads(redacted(json.dumps({**EVENT, "inputs": {name: value}}).encode()))
    assert kept["inputs"] == {name: "[removed]"}
    assert kept["data"] == EVENT["data"]


@pytest.mark.parametrize(
    "text",
    [
        "use sk-abcdefghijklmnop1234 for it",
        "Authorization: Bearer abcdef.ghijkl-mnop",
        "app-AbCdEfGhIjKlMnOpQrStUvWx",
        "roc_0123456789abcdefghijABCDEFGHIJ012345",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ],
)
def test_keys_are_cut_out_wherever_they_stand(text: str) -> None:
    secret = text.split()[-1] if "for it" not in text else "sk-abcdefghijklmnop1234"
    assert secret not in redacted(json.dumps({**EVENT, "query": text}).encode())
    assert secret not in redacted(text.encode()), "in what is no JSON, too"


def test_what_is_charged_by_stays_as_it_came() -> None:
    """Otherwise a letter could not be sent in again."""
    text = json.dumps(EVENT)
    assert redacted(text.encode()) == text


def test_what_is_no_text_is_kept_as_one() -> None:
    """PostgreSQL takes neither NUL nor broken UTF-8."""
    assert "\0" not in redacted(b"a\0b\xff")
