"""A credential's life, as a table: what it is, what may happen to it, and what it is then.

fresh → due → checking → valid | suspect → … → quarantined → deleted. Only proof condemns: whatever
an upstream could have said on a bad day makes a credential suspect at most, and it stays in use.
"""

import enum
from typing import Final

import msgspec

ATTEMPTS: Final = 3
BACKOFF_S: Final = (1.0, 2.0)  # before the second and the third attempt
RETRY_AFTER_S_MAX: Final = 30.0
# Secrets with a known end are renewed so long before it.
RENEW_AHEAD_MS: Final = 300_000


class State(enum.StrEnum):
    """What is known of a credential."""

    FRESH = "fresh"  # never checked with the secret that it has
    DUE = "due"  # chosen to be checked, or left in the middle of it
    CHECKING = "checking"  # one run holds it
    VALID = "valid"
    SUSPECT = "suspect"  # the last check proved nothing
    QUARANTINED = "quarantined"  # proven invalid; never used again unless restored
    DELETED = "deleted"  # a name without a secret


class Signal(enum.StrEnum):
    """What happens to a credential."""

    CHOSEN = "chosen"
    CLAIMED = "claimed"
    PROVED_VALID = "proved valid"
    UNPROVEN = "unproven"
    PROVED_INVALID = "proved invalid"
    LET_GO = "let go"  # the check could not begin, or whoever made it died
    RESTORED = "restored"
    GIVEN_ANEW = "given anew"  # somebody handed in its secret, again or another one
    GRACE_OVER = "grace over"
    DISCARDED = "discarded"  # by a person, or unused for too long


LIVING: Final = (State.FRESH, State.DUE, State.CHECKING, State.VALID, State.SUSPECT)

NEXT: Final[dict[tuple[State, Signal], State]] = {
    (State.FRESH, Signal.CHOSEN): State.DUE,
    (State.VALID, Signal.CHOSEN): State.DUE,
    (State.SUSPECT, Signal.CHOSEN): State.DUE,
    (State.DUE, Signal.CHOSEN): State.DUE,
    (State.FRESH, Signal.CLAIMED): State.CHECKING,
    (State.DUE, Signal.CLAIMED): State.CHECKING,
    (State.VALID, Signal.CLAIMED): State.CHECKING,
    (State.SUSPECT, Signal.CLAIMED): State.CHECKING,
    (State.CHECKING, Signal.PROVED_VALID): State.VALID,
    (State.CHECKING, Signal.UNPROVEN): State.SUSPECT,
    (State.CHECKING, Signal.PROVED_INVALID): State.QUARANTINED,
    (State.CHECKING, Signal.LET_GO): State.DUE,
    (State.QUARANTINED, Signal.RESTORED): State.FRESH,
    (State.QUARANTINED, Signal.GRACE_OVER): State.DELETED,
    **{(state, Signal.DISCARDED): State.DELETED for state in (*LIVING, State.QUARANTINED)},
    **{(state, Signal.GIVEN_ANEW): State.FRESH for state in State},
}


def after(state: State, signal: Signal) -> State:
    """What it is then; an impossible signal is a bug of ours."""
    assert (state, signal) in NEXT, f"{signal.value} can not happen to a {state.value} credential"
    return NEXT[state, signal]


def may_happen(state: State, signal: Signal) -> bool:
    return (state, signal) in NEXT


class Outcome(enum.StrEnum):
    """What an answer says of a credential."""

    VALID = "valid"
    INVALID = "invalid"
    UNPROVEN = "unproven"


class Verdict(msgspec.Struct, frozen=True):
    """`reason` is in our own words or the kind's, never the upstream's: it may be logged."""

    outcome: Outcome
    reason: str = ""


SIGNALS: Final = {
    Outcome.VALID: Signal.PROVED_VALID,
    Outcome.INVALID: Signal.PROVED_INVALID,
    Outcome.UNPROVEN: Signal.UNPROVEN,
}


class Answer(msgspec.Struct, frozen=True):
    """What an upstream said, cut to a bounded length."""

    status: int
    body: bytes
    retry_after_s: float | None = None

    def __repr__(self) -> str:
        return f"<Answer {self.status}>"  # the body of a refresh is a secret


class NoAnswer(msgspec.Struct, frozen=True):
    """Nothing that could be read came. `may_have_acted`: the request may have reached them."""

    reason: str
    may_have_acted: bool


def pause_before(attempt: int, verdict_of: Answer | NoAnswer, jitter: float) -> float:
    """Seconds until attempt number `attempt` (the second is 1); `jitter` is from 0 to 1."""
    pause_s = BACKOFF_S[attempt - 1] * (1 + jitter / 10)
    asked_s = verdict_of.retry_after_s if isinstance(verdict_of, Answer) else None
    return max(pause_s, min(asked_s or 0.0, RETRY_AFTER_S_MAX))


def is_worth_another(said: Answer | NoAnswer, *, is_spending: bool) -> bool:
    """Whether the same request may mend it.

    A refresh may spend a token that works only once: where it may have been spent and the answer
    was lost, sending it again could make the upstream think it was stolen.
    """
    if isinstance(said, Answer):
        return said.status == 429 or said.status >= 500 or not is_spending
    return not (is_spending and said.may_have_acted)
