"""In which language a caller is told what the server has to say."""

from fastapi import Request

from tallygate.control.callers import caller_of
from tallygate.control.parts import Parts
from tallygate.store import accounts


async def language_of(parts: Parts, request: Request, asked: str | None) -> str:
    """The one that is asked for, or the account's own; nothing: as it was written."""
    account_id = caller_of(request).account_id
    if asked is not None or account_id is None:
        return asked or ""
    async with parts.database.reading() as tx:
        caller = await accounts.find(tx, account_id)
    return (caller.language if caller is not None else None) or ""
