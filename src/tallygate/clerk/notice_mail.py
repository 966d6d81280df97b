"""Notices about an account's own money, mailed to its owner in the owner's language.

Only what somebody set up for that account: a level for its balance, a budget. An account without an
address is told by the API alone (`/api/user/notices`).
"""

import asyncio
from urllib.parse import quote

from tallygate.clerk.notice_channels import Chat, channels_of
from tallygate.clerk.notices import Channel, NotMeant, Undelivered
from tallygate.clerk.options import Options
from tallygate.core.errors import StoreUnavailable
from tallygate.core.notice_wording import worded
from tallygate.store import accounts
from tallygate.store.database import Database
from tallygate.store.notices import Notice


def all_channels(options: Options, db: Database) -> dict[str, Channel]:
    """Those to operators, and mail to owners if somebody has set up who sends it."""
    found = channels_of(options, db.system_clock_ms)
    if options.mail_url:
        found["mail"] = Mail(db, options.mail_url, options.notice_language)
    return found


class Mail:
    """`url` is the sender, as apprise writes it (mailto:// or mailtos://), without a receiver."""

    def __init__(self, db: Database, url: str, language: str) -> None:
        self._db = db
        self._url = url
        self._language = language
        self._is_busy = asyncio.Lock()

    async def __call__(self, notice: Notice) -> None:
        if notice.account_id is None:
            raise NotMeant
        try:
            async with self._db.reading() as tx:
                owner = await accounts.find(tx, notice.account_id)
        except StoreUnavailable as error:
            raise Undelivered("the store did not answer") from error
        if owner is None or not owner.is_active or owner.email is None:
            raise NotMeant
        said = worded(notice.kind, notice.data, owner.language or self._language)
        if said is None:
            raise NotMeant
        separator = "&" if "?" in self._url else "?"
        receiver = Chat([f"{self._url}{separator}to={quote(owner.email, safe='')}"])
        async with self._is_busy:  # one mail at a time
            await receiver.tell(*said)
