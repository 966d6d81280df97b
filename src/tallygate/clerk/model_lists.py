"""The models that providers list themselves, asked over HTTP within bounds of time and size.

A provider's address is the operator's choice, but what its name resolves to is not: link-local and
metadata addresses are refused when connecting, and redirects are not followed.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
import structlog

from tallygate.core.provider import Protocol, Provider
from tallygate.wire.address import why_refused

DEADLINE_S = 10.0
BYTES_MAX = 4 << 20
MODELS_MAX = 10_000
ANTHROPIC_VERSION = "2023-06-01"

log = structlog.get_logger("tallygate.clerk")


class _Model(msgspec.Struct):
    id: str


class _List(msgspec.Struct):
    data: list[_Model]


_decode_list = msgspec.json.Decoder(_List).decode


async def fetch(providers: Sequence[Provider]) -> list[tuple[str, ...] | None]:
    """Each one's list, side by side; None for one that can not be had."""
    connector = aiohttp.TCPConnector(socket_factory=allowed_socket)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
        return list(await asyncio.gather(*(_fetch(session, one) for one in providers)))


def allowed_socket(address: Any) -> socket.socket:  # what getaddrinfo answers
    """A socket for a resolved address, or OSError if nobody should connect there."""
    family, kind, protocol, _, (host, port, *_) = address
    if why := why_refused(host, port, is_private_allowed=True, own=frozenset()):
        raise OSError(f"{host} is {why}")
    return socket.socket(family, kind, protocol)


async def _fetch(session: aiohttp.ClientSession, provider: Provider) -> tuple[str, ...] | None:
    try:
        async with asyncio.timeout(DEADLINE_S):
            async with session.get(
                f"{provider.base_url.rstrip('/')}/models",
                headers=_headers(provider),
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise ValueError(f"status {response.status}")
                body = await _read(response)
        names = {model.id for model in _decode_list(body).data}
        return tuple(sorted(names)[:MODELS_MAX])
    except (aiohttp.ClientError, OSError, ValueError, msgspec.MsgspecError) as error:
        kind = type(error).__name__  # its text could quote the request
        log.warning("a provider's models can not be listed", provider=provider.name, reason=kind)
        return None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while piece := await response.content.read(BYTES_MAX):
        body += piece
        if len(body) > BYTES_MAX:
            raise ValueError("a list that is too long")
    return body


def _headers(provider: Provider) -> dict[str, str]:
    if provider.protocol is Protocol.ANTHROPIC:
        return {"x-api-key": provider.secret, "anthropic-version": ANTHROPIC_VERSION}
    return {"authorization": f"Bearer {provider.secret}"}
