"""Changes of credentials: made by the clerk of the server that runs here, else in the store itself.

Without a server the clerk's own handlers run in this process, a short transaction for each change.
They take no node's lock, for nothing that they touch is leased: so they run on Windows, too, and
beside the servers of other machines.
"""

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

from tallygate.clerk.commands.context import Context
from tallygate.clerk.commands.credentials import HANDLERS
from tallygate.clerk.options import Options
from tallygate.cli.place import ACTOR, Place
from tallygate.core.commands import Arguments
from tallygate.core.credential_commands import CredentialView
from tallygate.store.database import Database

Order = Callable[[Arguments], Awaitable[CredentialView]]


@contextlib.asynccontextmanager
async def ordering(place: Place, db: Database) -> AsyncIterator[Order]:
    """Who makes changes while the block lasts."""
    if not place.is_served:
        yield lambda wanted: _in_the_store(place, db, wanted)
        return
    from tallygate.wire.caller import Caller  # where there is a server there are sockets

    async with Caller(place.settings.socket_path("clerk")) as caller:
        yield lambda wanted: caller.command(wanted, ACTOR, into=CredentialView)


async def _in_the_store(place: Place, db: Database, wanted: Arguments) -> CredentialView:
    options = Options(
        data=str(place.settings.data),
        database_url=place.location.url,
        node_uuid=ACTOR.name,
        node_name=ACTOR.name,
        master_key=place.master_key,
    )
    now_ms = await db.clock_ms()
    async with db.writing() as tx:
        context = Context(tx, now_ms, ACTOR, options, secrets.token_bytes)
        made: CredentialView = await HANDLERS[type(wanted)](context, wanted)
        await context.append_events()
    return made
