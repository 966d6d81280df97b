"""Spans on their way to a collector, by OTLP over HTTP: what it says, and when to ask it again.

Loaded only where there is a collector, for aiohttp's sake. What goes wrong is said without the
headers, which may hold secrets; redirects are not followed for the same reason.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

DEADLINE_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 64 << 10
RETRY_S_MAX: Final = 300
_LATER: Final = frozenset((429, 502, 503, 504))  # all others would say the same again


class NotTaken(Exception):
    """The collector did not take a request; `is_final`: and never will."""

    def __init__(self, message: str, *, is_final: bool = False, retry_s: int = 0) -> None:
        super().__init__(message)
        self.is_final = is_final
        self.retry_s = retry_s


class TraceSender:
    """One collector."""

    def __init__(self, session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
        self._session = session
        self._url = url
        self._headers = {
            **headers,
            "content-type": "application/json",
            "content-encoding": "gzip",
        }

    def __repr__(self) -> str:
        return f"<TraceSender {self._url}>"

    async def send(self, body: bytes) -> bytes:
        """What the collector answers; NotTaken when it has not got it."""
        packed = await asyncio.to_thread(gzip.compress, body, 1)
        try:
            async with (
                asyncio.timeout(DEADLINE_S),
                self._session.post(
                    self._url, data=packed, headers=self._headers, allow_redirects=False
                ) as answer,
            ):
                said = await answer.content.read(ANSWER_BYTES_MAX)
                status, wait = answer.status, answer.headers.get("retry-after", "")
        except TimeoutError as error:
            raise NotTaken(f"no answer within {DEADLINE_S:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotTaken(f"no connection ({type(error).__name__})") from error
        if not 200 <= status < 300:
            retry_s = min(RETRY_S_MAX, int(wait)) if wait.isascii() and wait.isdecimal() else 0
            raise NotTaken(f"answered {status}", is_final=status not in _LATER, retry_s=retry_s)
        return said


@asynccontextmanager
async def connected(url: str, headers: dict[str, str]) -> AsyncIterator[TraceSender]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield TraceSender(session, url, headers)
