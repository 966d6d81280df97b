"""The ways that notices leave by: apprise's URLs, and a signed webhook.

What goes wrong is said without the address: that may hold a secret.
"""

import asyncio
import datetime
from collections.abc import Callable
from typing import Any, Protocol

import aiohttp
import msgspec

from tallygate.clerk.notices import Channel, Undelivered
from tallygate.core.operator_wording import worded_for_operators
from tallygate.core.signatures import key_of, sign
from tallygate.store.notices import Notice

DEADLINE_S = 10.0
CHAT_DEADLINE_S = 25.0  # apprise may tell several receivers, one after the other


class Addresses(Protocol):
    """Whom to tell, as the settings say it."""

    @property
    def notify_urls(self) -> str | None: ...

    @property
    def notify_webhook_url(self) -> str | None: ...

    @property
    def notify_webhook_secret(self) -> str | None: ...

    @property
    def notice_language(self) -> str: ...


def channels_of(options: Addresses, system_clock_ms: Callable[[], int]) -> dict[str, Channel]:
    """Those that are configured. A receiver compares a webhook's time with a real clock."""
    found: dict[str, Channel] = {}
    if options.notify_webhook_url and options.notify_webhook_secret:
        key = key_of(options.notify_webhook_secret)
        found["webhook"] = Webhook(options.notify_webhook_url, key, system_clock_ms)
    if urls := (options.notify_urls or "").split():
        found["apprise"] = Chat(urls)
    language = options.notice_language
    return {name: _spoken(channel, language) for name, channel in found.items()}


def _spoken(channel: Channel, language: str) -> Channel:
    """The same way, in this language where a notice has words in it."""

    async def tell(notice: Notice) -> None:
        said = worded_for_operators(notice.kind, notice.data, language)
        if said is not None:
            notice = msgspec.structs.replace(notice, title=said[0], body=said[1])
        await channel(notice)

    return tell


class Webhook:
    """Signed as Standard Webhooks has it. Any 2xx is taken for an answer; redirects are not."""

    def __init__(self, url: str, key: bytes, system_clock_ms: Callable[[], int]) -> None:
        self._url = url
        self._key = key
        self._system_clock_ms = system_clock_ms

    async def __call__(self, notice: Notice) -> None:
        body = payload_of(notice)
        webhook_id, now_s = f"notice_{notice.id}", self._system_clock_ms() // 1000
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": sign(self._key, webhook_id, now_s, body),
        }
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE_S)) as session,
                session.post(
                    self._url, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                status = answer.status
        except TimeoutError as error:
            raise Undelivered(f"no answer within {DEADLINE_S:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Undelivered(f"no connection ({type(error).__name__})") from error
        if not 200 <= status < 300:
            raise Undelivered(f"answered {status}")


def payload_of(notice: Notice) -> bytes:
    created = datetime.datetime.fromtimestamp(notice.created_ms / 1000, datetime.UTC)
    return msgspec.json.encode(
        {
            "type": notice.kind,
            "timestamp": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "title": notice.title,
            "body": notice.body,
            "data": msgspec.Raw(notice.data.encode()),
        }
    )


class Chat:
    """Mail, chat and the like, by apprise: loaded with the first notice, in a thread of its own."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls
        self._is_busy = asyncio.Lock()

    async def __call__(self, notice: Notice) -> None:
        await self.tell(notice.title, notice.body)

    async def tell(self, title: str, body: str) -> None:
        async with self._is_busy:  # a thread that hangs is one thread
            try:
                async with asyncio.timeout(CHAT_DEADLINE_S):
                    error = await asyncio.to_thread(self._tell, title, body)
            except TimeoutError as late:
                raise Undelivered(f"not done within {CHAT_DEADLINE_S:g} s") from late
        if error:
            raise Undelivered(error)

    def _tell(self, title: str, body: str) -> str:
        """What went wrong, or nothing."""
        import apprise

        receivers: Any = apprise.Apprise()  # it ships no types
        bad = sum(not receivers.add(url) for url in self._urls)
        is_told = bool(len(receivers)) and receivers.notify(
            title=title, body=body, body_format=apprise.NotifyFormat.TEXT
        )
        if bad:
            return f"{bad} of {len(self._urls)} addresses are not understood"
        return "" if is_told else "a receiver did not take it"
