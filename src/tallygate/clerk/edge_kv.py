"""Cloudflare's KV over its API: write and delete many at once, list what lies there.

Each value bears its digest beside it, so that a list says what is there without reading it. What
goes wrong is said in words that hold neither the token nor a value.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

DEADLINE_S = 20.0
ANSWER_BYTES_MAX = 8 << 20
LIST_MAX = 1_000
RETRY_S_MAX = 3_600
MESSAGE_LENGTH_MAX = 200


class KvRefused(Exception):
    """Cloudflare did not do it; `is_unknown`: or nobody knows."""

    def __init__(self, message: str, *, retry_s: int = 0, is_unknown: bool = False) -> None:
        super().__init__(message)
        self.retry_s = retry_s
        self.is_unknown = is_unknown


class _Fault(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Bulk(msgspec.Struct):
    unsuccessful_keys: list[str] = []


class _Named(msgspec.Struct):
    name: str
    metadata: Any = None


class _Info(msgspec.Struct):
    cursor: str = ""


class _Answer(msgspec.Struct):
    success: bool
    errors: list[_Fault] = []
    result: msgspec.Raw = msgspec.Raw(b"null")
    result_info: _Info | None = None


class Kv:
    """One namespace."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def __repr__(self) -> str:
        return f"<Kv {self._url}>"

    async def write(self, values: Sequence[tuple[str, str, str]]) -> set[str]:
        """Each a name, its value and its digest; the names that were taken."""
        body = [
            {"key": name, "value": value, "metadata": {"digest": digest}}
            for name, value, digest in values
        ]
        return await self._bulk("PUT", "bulk", body, [name for name, _, _ in values])

    async def delete(self, names: Sequence[str]) -> set[str]:
        return await self._bulk("POST", "bulk/delete", list(names), names)

    async def names(self) -> dict[str, str]:
        """Everything that lies there with its digest, "?" where it has none of ours."""
        found: dict[str, str] = {}
        cursor = ""
        while True:
            query = {"limit": str(LIST_MAX)} | ({"cursor": cursor} if cursor else {})
            answer = await self._ask("GET", "keys", query=query)
            for one in _read(answer.result, list[_Named]):
                found[one.name] = _digest_of(one.metadata)
            cursor = answer.result_info.cursor if answer.result_info is not None else ""
            if not cursor:
                return found

    async def _bulk(self, method: str, path: str, body: Any, names: Iterable[str]) -> set[str]:
        answer = await self._ask(method, path, body=body)
        bulk = _read(answer.result, _Bulk | None)
        return set(names) - set(bulk.unsuccessful_keys if bulk is not None else ())

    async def _ask(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, str] | None = None
    ) -> _Answer:
        try:
            async with (
                asyncio.timeout(DEADLINE_S),
                self._session.request(
                    method,
                    f"{self._url}/{path}",
                    params=query,
                    data=None if body is None else msgspec.json.encode(body),
                    headers=self._headers,
                    allow_redirects=False,
                ) as answer,
            ):
                status, fields = answer.status, answer.headers
                content = await answer.content.read(ANSWER_BYTES_MAX)
                while piece := await answer.content.read(ANSWER_BYTES_MAX - len(content)):
                    content += piece
        except TimeoutError as error:
            raise KvRefused(f"no answer within {DEADLINE_S:g} s", is_unknown=True) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = f"no connection ({type(error).__name__})"
            raise KvRefused(why, is_unknown=True) from error
        return _checked(status, content, fields.get("retry-after", ""))


@asynccontextmanager
async def connected(
    api_url: str, account_id: str, namespace_id: str, token: str
) -> AsyncIterator[Kv]:
    url = f"{api_url}/accounts/{account_id}/storage/kv/namespaces/{namespace_id}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Kv(session, url, token)


def _checked(status: int, content: bytes, retry_after: str) -> _Answer:
    retry_s = min(int(retry_after), RETRY_S_MAX) if retry_after.isdecimal() else 0
    try:
        answer = msgspec.json.decode(content, type=_Answer)
    except msgspec.MsgspecError as error:
        why = f"answered {status}, and not as Cloudflare does"
        raise KvRefused(why, retry_s=retry_s, is_unknown=status < 400) from error
    if 200 <= status < 300 and answer.success:
        return answer
    said = "; ".join(f"{one.message} ({one.code})" for one in answer.errors)
    said = "".join(letter for letter in said[:MESSAGE_LENGTH_MAX] if letter.isprintable())
    raise KvRefused(f"answered {status}: {said}" if said else f"answered {status}", retry_s=retry_s)


def _read(raw: msgspec.Raw, kind: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError as error:
        raise KvRefused("answered, and not as Cloudflare does", is_unknown=True) from error


def _digest_of(metadata: Any) -> str:
    digest = metadata.get("digest") if isinstance(metadata, dict) else None
    return digest if isinstance(digest, str) and digest else "?"
