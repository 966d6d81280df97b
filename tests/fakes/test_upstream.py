"""The fake itself: a test is only worth what its fakes are."""

import json
import socket
import ssl
from pathlib import Path

import openai
import pytest

from tests.fakes.certificates import make_certificates
from tests.fakes.upstream import running


def client(base_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key="sk-one", max_retries=0, timeout=5)


MESSAGES = [{"role": "user", "content": "hello"}]


def test_a_chat_is_answered_and_counted_by_key_and_path() -> None:
    """Tests of quotas rest on this count."""
    with running() as upstream:
        answer = client(upstream.base_url).chat.completions.create(
            model="fake-chat", messages=MESSAGES
        )
        assert answer.usage and answer.usage.total_tokens == 18
        assert upstream.stats.count("/v1/chat/completions", "sk-one") == 1
        assert upstream.stats.count("/v1/chat/completions", "sk-two") == 0
        assert upstream.stats.faults == []
        assert json.loads(upstream.stats.as_json())["total"] == 1


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_has_usage_only_when_asked(include_usage: bool) -> None:
    """The gateway must inject `include_usage`; a fake that always sent it would hide that."""
    with running() as upstream:
        stream = client(upstream.base_url).chat.completions.create(
            model="many-chunks-200",
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": include_usage},
        )
        chunks = list(stream)
        assert len([one for one in chunks if one.choices]) == 201
        assert [one for one in chunks if one.usage] == chunks[-1:] if include_usage else True
        assert len(chunks) == 202 if include_usage else 201


@pytest.mark.parametrize("name", ["reset", "wrong-length", "garbage-http", "bad-chunk"])
def test_broken_answers_break_an_honest_client(name: str) -> None:
    with running() as upstream, pytest.raises(openai.APIConnectionError):
        client(upstream.base_url).chat.completions.create(model=name, messages=MESSAGES)


def test_an_upstream_that_went_away_refuses_and_comes_back() -> None:
    with running() as upstream:
        upstream.go_away()
        with pytest.raises(openai.APIConnectionError):
            client(upstream.base_url).models.list()
        upstream.come_back()
        assert client(upstream.base_url).models.list().data


def test_tls_is_trusted_only_through_its_own_authority(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    with running(certificates.server_context()) as upstream:
        trusting = ssl.create_default_context(cafile=str(certificates.authority))
        assert _fetch(upstream.port, trusting).startswith(b"HTTP/1.1 200")
        with pytest.raises(ssl.SSLCertVerificationError):
            _fetch(upstream.port, ssl.create_default_context())


def _fetch(port: int, context: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        wrapped.sendall(b"GET /v1/models HTTP/1.1\r\nhost: fake\r\n\r\n")
        return wrapped.recv(4096)
