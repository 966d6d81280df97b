"""One charge per event: what is done with an event that says what somebody used.

The same event may come from several sources, in any order, and again. The first one to arrive is
charged. A source that repeats itself is answered with the first result, one that contradicts itself
is refused; a better source that disagrees corrects the charge, a worse one changes nothing.
"""

import enum
from typing import Final

import msgspec

from tallygate.core.pricing import Cost
from tallygate.core.usage import INPUT_TOKENS, OUTPUT_TOKENS


class Source(enum.StrEnum):
    """Who says so."""

    GATEWAY = "gateway"  # a metered call of our own
    PROXY = "proxy"  # read from Dify's answer as it passed through us
    TRACING = "tracing"  # Dify's own tracing export
    WEBHOOK = "webhook"
    BROWSER = "browser"
    HOLD = "hold"  # an amount that was held and then captured; no event


# Who is believed when two disagree.
RANK: Final[dict[str, int]] = {
    Source.GATEWAY.value: 4,
    Source.PROXY.value: 4,
    Source.TRACING.value: 3,
    Source.WEBHOOK.value: 2,
    Source.BROWSER.value: 1,
}


class State(enum.StrEnum):
    """What became of a charge."""

    CHARGED = "charged"
    NOTED = "noted"  # recorded only: the use is charged elsewhere, or nobody confirmed it
    UNPAID = "unpaid"  # the balance was too small; nothing was taken
    REVIEW = "review"  # above the largest single charge; waits for an operator
    REJECTED = "rejected"  # by an operator who reviewed it
    REFUNDED = "refunded"  # all of it


class Verdict(enum.Enum):
    """What to do with an event now."""

    CHARGE = "take the money"
    REPEAT = "answer as the first time"
    CONFLICT = "the same event with other numbers"
    ADJUST = "a better source disagrees: correct the charge"
    NOTE = "remember what this source said; nothing changes"
    UNPAID = "the balance is too small"
    REVIEW = "too large to be charged without a look"


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What a source said of an event, as far as it decides whether two say the same."""

    account_id: str
    model: str
    input_tokens: int
    output_tokens: int


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A use, as one source reports it."""

    source: Source
    instance: str
    aliases: tuple[tuple[str, str], ...]  # (kind, id), kind message or run; none: never repeated
    account_id: str
    model: str
    counts: dict[str, int]
    event_ms: int
    key_id: int = 0
    request_id: str = ""
    conversation_id: str = ""
    message_id: str = ""
    parts: tuple[tuple[str, dict[str, int]], ...] = ()  # if it used several models

    @property
    def told(self) -> Told:
        counts = self.counts
        return Told(
            self.account_id, self.model, counts.get(INPUT_TOKENS, 0), counts.get(OUTPUT_TOKENS, 0)
        )


class Known(msgspec.Struct, kw_only=True):
    """A charge that an event was found to have already."""

    id: int
    state: State
    source: Source
    told: Told
    reports: dict[str, Told]  # of other sources
    micros: int
    refunded_micros: int


class Policy(msgspec.Struct, frozen=True):
    """The operator's rules."""

    charge_micros_max: int
    may_overdraw: bool  # down to the wallet's floor


def judge_known(event: Event, known: Known) -> Verdict:
    """What an event means that has a charge already."""
    told = event.told
    earlier = known.told if event.source is known.source else known.reports.get(event.source.value)
    if told.account_id != known.told.account_id:
        return Verdict.CONFLICT  # no money moves from one person to another
    if earlier is not None and earlier != told:
        return Verdict.CONFLICT
    if known.state is State.UNPAID and event.source is known.source:
        return Verdict.CHARGE  # delivered again: perhaps there is money now
    if earlier is not None:
        return Verdict.REPEAT
    if RANK[event.source.value] <= RANK[known.source.value]:
        return Verdict.NOTE
    return Verdict.NOTE if told == known.told else Verdict.ADJUST


def judge_cost(cost: Cost, free_micros: int, floor_micros: int, policy: Policy) -> Verdict:
    """Whether this much may be taken from a wallet; size is looked at before the balance."""
    if cost.micros > policy.charge_micros_max:
        return Verdict.REVIEW
    down_to_micros = floor_micros if policy.may_overdraw else 0
    if free_micros - cost.micros < down_to_micros:
        return Verdict.UNPAID
    return Verdict.CHARGE
