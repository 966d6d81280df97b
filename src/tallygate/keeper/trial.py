"""Trying a credential out: its upstream is asked, and nothing is written or spent."""

import msgspec

from tallygate.core.credential import Outcome, State
from tallygate.core.credential_exchange import Incomplete, host_for
from tallygate.core.credential_kind import BadKind
from tallygate.keeper.book import Book
from tallygate.keeper.check import Checker, Sender, Turn
from tallygate.keeper.pace import Pace
from tallygate.kinds import Kinds
from tallygate.store.credential_checks import Claim


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """`verdict`: valid, invalid, unproven, or untested."""

    id: int
    name: str
    kind: str
    verdict: str
    reason: str


UNTESTED = "untested"


async def try_out(
    book: Book, kinds: Kinds, sender: Sender, pace: Pace, claim: Claim, name: str, state: State
) -> Trial:
    """A kind that can only be renewed is not tried: that would spend its token."""

    def said(verdict: str, reason: str) -> Trial:
        return Trial(id=claim.id, name=name, kind=claim.kind, verdict=verdict, reason=reason)

    try:
        kind = kinds.find(claim.kind)
        host_for(kind, claim.variables)
    except (BadKind, Incomplete) as error:
        return said(Outcome.UNPROVEN.value, str(error))
    if kind.probe is None:
        return said(UNTESTED, "its kind is only renewed; `keeper refresh` does that")
    asking_only = msgspec.structs.replace(kind, refresh=None)
    checker = Checker(book, pace, sender, lambda: 0.0, lambda *_: None)
    result = await checker.check(claim, asking_only, Turn(host="", permit=await pace.permit()))
    if result.outcome is None:
        return said(Outcome.UNPROVEN.value, result.reason)
    if state is State.QUARANTINED and result.outcome is Outcome.VALID:
        return said(result.outcome.value, "it is quarantined: `keeper restore` brings it back")
    return said(result.outcome.value, result.reason)
