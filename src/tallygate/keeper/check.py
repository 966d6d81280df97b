"""One credential's check: asked, asked again where that may help, judged, renewed.

A kind without a probe is renewed each time; others when their secret is about to end, or when the
probe proved it invalid and there is a way to a new one. Only the last word condemns.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec

from tallygate.core.credential import (
    ATTEMPTS,
    RENEW_AHEAD_MS,
    Answer,
    NoAnswer,
    Outcome,
    Verdict,
    is_worth_another,
    pause_before,
)
from tallygate.core.credential_exchange import (
    Incomplete,
    Request,
    host_of,
    judge,
    renewed,
    request_for,
    with_defaults,
)
from tallygate.core.credential_kind import Exchange, Kind
from tallygate.core.sealing import NoKey, Unsealable
from tallygate.keeper.book import Book
from tallygate.keeper.pace import Pace, Permit
from tallygate.store.credential_checks import Claim, Result

SHUT: Final = "its secret does not open with this master key"


class Sender(Protocol):
    async def send(self, request: Request) -> Answer | NoAnswer: ...


class Turn:
    """A host's moment that was waited for already; whoever uses it first has it."""

    def __init__(self, host: str, permit: Permit) -> None:
        self.host = host
        self.permit = permit
        self.is_open = True

    def take(self, host: str) -> bool:
        was_open, self.is_open = self.is_open and host == self.host, False
        return was_open


class Checker:
    """`jitter` gives numbers from 0 to 1; `note` hears of each attempt."""

    def __init__(
        self,
        book: Book,
        pace: Pace,
        sender: Sender,
        jitter: Callable[[], float],
        note: Callable[[int, str], None],
    ) -> None:
        self._book = book
        self._pace = pace
        self._sender = sender
        self._jitter = jitter
        self._note = note

    async def check(self, claim: Claim, kind: Kind, turn: Turn) -> Result:
        """What became of it; nothing is written yet."""
        try:
            parts = self._book.unseal(claim)
            variables = with_defaults(kind, claim.variables)
            return await self._check(claim, kind, variables, parts, turn)
        except NoKey as error:
            return _not_begun(claim, str(error))
        except Unsealable:
            return _not_begun(claim, SHUT)
        except Incomplete as error:
            return _not_begun(claim, str(error))
        finally:
            turn.permit.release()

    async def _check(
        self,
        claim: Claim,
        kind: Kind,
        variables: dict[str, str],
        parts: dict[str, str],
        turn: Turn,
    ) -> Result:
        async def ask(exchange: Exchange, *, is_spending: bool) -> tuple[Verdict, Answer | None]:
            request = request_for(exchange, variables, parts)
            return await self._ask(claim.id, exchange, request, turn, is_spending=is_spending)

        has_secret = bool(parts.get(kind.used))
        if kind.probe is not None and has_secret and not await self._is_ending(claim, kind):
            verdict, _ = await ask(kind.probe, is_spending=False)
            if verdict.outcome is not Outcome.INVALID or kind.refresh is None:
                return _result(claim, verdict)
        if kind.refresh is None:
            return _not_begun(claim, f"its part {kind.used} is missing")
        return await self._renew(claim, kind, parts, ask)

    async def _is_ending(self, claim: Claim, kind: Kind) -> bool:
        if kind.refresh is None or claim.expires_ms is None:
            return False
        return claim.expires_ms <= await self._book.now_ms() + RENEW_AHEAD_MS

    async def _renew(
        self,
        claim: Claim,
        kind: Kind,
        parts: dict[str, str],
        ask: Callable[..., Awaitable[tuple[Verdict, Answer | None]]],
    ) -> Result:
        assert kind.refresh is not None, "only who can be renewed is"
        verdict, answer = await ask(kind.refresh, is_spending=True)
        if verdict.outcome is not Outcome.VALID or answer is None:
            return _result(claim, verdict)
        new = renewed(kind, answer)
        if new is None:
            return _result(claim, Verdict(Outcome.UNPROVEN, "the answer holds no new secret"))
        expires_ms = None
        if new.expires_in_s is not None:
            expires_ms = await self._book.now_ms() + int(new.expires_in_s * 1000)
        result = _result(claim, verdict)
        return msgspec.structs.replace(result, parts={**parts, **new.parts}, expires_ms=expires_ms)

    async def _ask(
        self,
        credential_id: int,
        exchange: Exchange,
        request: Request,
        turn: Turn,
        *,
        is_spending: bool,
    ) -> tuple[Verdict, Answer | None]:
        host = host_of(request.url)
        for attempt in range(1, ATTEMPTS + 1):
            said = await self._send(host, request, turn)
            verdict = judge(exchange, said)
            reason = verdict.reason or verdict.outcome.value
            self._note(credential_id, f"{attempt}/{ATTEMPTS} {host}: {reason}")
            is_last = attempt == ATTEMPTS or not is_worth_another(said, is_spending=is_spending)
            if verdict.outcome is not Outcome.UNPROVEN or is_last:
                break
            await asyncio.sleep(pause_before(attempt, said, self._jitter()))
        return verdict, said if isinstance(said, Answer) else None

    async def _send(self, host: str, request: Request, turn: Turn) -> Answer | NoAnswer:
        """At the host's next moment; a credential that pauses holds up nobody meanwhile."""
        if turn.take(host):
            permit = turn.permit
        else:
            turn.permit.release()
            permit = await self._pace.permit()
        try:
            if permit is not turn.permit:
                async with self._pace.turn(host):
                    pass
            return await self._sender.send(request)
        finally:
            permit.release()


def _result(claim: Claim, verdict: Verdict) -> Result:
    return Result(
        id=claim.id, version=claim.version, outcome=verdict.outcome, reason=verdict.reason
    )


def _not_begun(claim: Claim, reason: str) -> Result:
    return Result(id=claim.id, version=claim.version, outcome=None, reason=reason)
