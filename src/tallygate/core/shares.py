"""A token's share of what a route allows each token: asked of the clerk, and answered."""

import msgspec

from tallygate.core.limits import Limit


class Share(msgspec.Struct, array_like=True, tag="share"):
    """A token's own row under a route's limit for each token; answered by `Shared`."""

    id: int
    limit_id: int
    key_id: int


class Shared(msgspec.Struct, array_like=True, tag="shared"):
    id: int
    limit: Limit | None  # None: there is none any more, or the store could not be asked
