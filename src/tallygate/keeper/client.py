"""Asking upstreams: one request, with a deadline, within bounds, and whatever it ends with as data.

A kind's address is the operator's choice, but what its name resolves to is not: link-local and
metadata addresses are refused when connecting, and redirects are not followed.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from tallygate import __version__
from tallygate.core.credential import Answer, NoAnswer
from tallygate.core.credential_exchange import Request
from tallygate.wire.address import why_refused

BODY_BYTES_MAX: Final = 256 << 10
CONNECT_S: Final = 5.0


class Client:
    """A connection per request; what they share is the resolver and the certificates."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, request: Request) -> Answer | NoAnswer:
        try:
            async with asyncio.timeout(request.timeout_s), self._asked(request) as response:
                body = await _read(response)
                pause = _seconds(response.headers.get("retry-after", ""))
                return Answer(response.status, body, pause)
        except TimeoutError:
            return NoAnswer(f"no answer within {request.timeout_s:g} s", may_have_acted=True)
        except aiohttp.ClientConnectorError as error:
            return NoAnswer(_why_not_connected(error), may_have_acted=False)
        except aiohttp.InvalidURL:
            return NoAnswer("its address is none", may_have_acted=False)
        except _TooLong:
            return NoAnswer(f"an answer longer than {BODY_BYTES_MAX} bytes", may_have_acted=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The text of such an error may quote the request.
            return NoAnswer(f"the connection failed ({type(error).__name__})", may_have_acted=True)

    def _asked(self, request: Request) -> Any:  # aiohttp's own context manager
        return self._session.request(
            request.method,
            request.url,
            params=request.query or None,
            headers=request.headers,
            data=aiohttp.FormData(request.form) if request.form else None,
            json=request.json,
            allow_redirects=False,
        )


@asynccontextmanager
async def opened() -> AsyncIterator[Client]:
    # A host is asked once a second at most: a connection that it may have closed meanwhile saves
    # little, and when it breaks nobody knows whether the request was read.
    connector = aiohttp.TCPConnector(limit=0, force_close=True, socket_factory=_allowed_socket)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        headers={"user-agent": f"tallygate-keeper/{__version__}"},
    ) as session:
        # aiohttp would send a broken-off request again by itself, unseen by whoever counts and
        # paces them; there is no public name for this yet, and a test sees that it works.
        session._retry_connection = False
        yield Client(session)


class _TooLong(Exception):
    """The answer is longer than anybody needs."""


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_chunked(1 << 14):
        body += piece
        if len(body) > BODY_BYTES_MAX:
            raise _TooLong
    return bytes(body)


def _seconds(text: str) -> float | None:
    """`Retry-After` as seconds; a date is as good as nothing."""
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 7 else None


def _why_not_connected(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"unknown host {error.host}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return f"no trusted TLS connection to {error.host}"
    if isinstance(error.os_error, ssl.SSLError):
        return f"no TLS connection to {error.host}"
    reason = error.os_error.strerror or str(error.os_error)
    return f"can not connect to {error.host}:{error.port}: {reason}"


def _allowed_socket(address: Any) -> socket.socket:  # what getaddrinfo answers
    """A socket for a resolved address, or OSError if nobody should connect there."""
    family, kind, protocol, _, (host, port, *_) = address
    if why := why_refused(host, port, is_private_allowed=True, own=frozenset()):
        raise OSError(f"{host} is {why}")
    return socket.socket(family, kind, protocol)
