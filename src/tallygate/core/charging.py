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


_RUN: Final = ":run"
_ESTIMATED: Final = ":estimated"

# Who is believed when two disagree. What a source has only estimated is worth less than what any
# server reports, and more than what a browser says.
RANK: Final[dict[str, int]] = {
    Source.GATEWAY.value: 5,
    Source.PROXY.value: 5,
    Source.TRACING.value: 4,
    Source.WEBHOOK.value: 3,
    Source.BROWSER.value: 1,
}
_RANK_OF_ESTIMATES: Final = 2


_LESSER: Final = (_RUN, _ESTIMATED, _RUN + _ESTIMATED)


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


class Trust(enum.StrEnum):
    """What a browser's word is worth: anybody can forge it."""

    OFF = "off"  # not taken
    HINT = "hint"  # recorded and shown; a server-side source has to confirm it
    CHARGE = "charge"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A use, as one source reports it.

    `is_run`: the end of a workflow's run says so, which knows less than the end of its message.
    `is_estimated`: its tokens were counted by us, for nobody had said how many they are.
    """

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
    is_run: bool = False
    is_estimated: bool = False
    is_billed_elsewhere: bool = False  # the model's own call is charged; this one is only noted

    @property
    def reporter(self) -> str:
        """Who of this source says so, and how well it knows."""
        run, estimated = _RUN if self.is_run else "", _ESTIMATED if self.is_estimated else ""
        return f"{self.source.value}{run}{estimated}"

    @property
    def tokens(self) -> int:
        counts = self.counts
        return counts.get(INPUT_TOKENS, 0) + counts.get(OUTPUT_TOKENS, 0)

    @property
    def told(self) -> Told:
        counts = self.counts
        return Told(
            self.account_id, self.model, counts.get(INPUT_TOKENS, 0), counts.get(OUTPUT_TOKENS, 0)
        )


class Known(msgspec.Struct, kw_only=True):
    """A charge that an event was found to have already.

    `reports` are what others than its source said of it; if a workflow's run or an estimate made
    the charge, that is among them too.
    """

    id: int
    state: State
    source: Source
    told: Told
    reports: dict[str, Told]  # by reporter
    micros: int
    refunded_micros: int

    @property
    def reporter(self) -> str:
        """Whose word the charge is by now."""
        source = self.source.value
        if source not in self.reports:
            for kind in _LESSER:
                if self.reports.get(source + kind) == self.told:
                    return source + kind
        return source

    @property
    def rank(self) -> int:
        """The best of those who say what is charged."""
        agreeing = [rank_of(who) for who, told in self.reports.items() if told == self.told]
        return max(rank_of(self.reporter), *agreeing) if agreeing else rank_of(self.reporter)

    def said_by(self, reporter: str) -> Told | None:
        return self.told if reporter == self.reporter else self.reports.get(reporter)


class Policy(msgspec.Struct, frozen=True):
    """The operator's rules."""

    charge_micros_max: int
    may_overdraw: bool  # down to the wallet's floor
    browser_trust: Trust = Trust.HINT
    is_owed: bool = False  # we let it through: it is taken whatever the balance is by now


def rank_of(reporter: str) -> int:
    """The end of a message is better than the end of its run, of the same source."""
    known = reporter.removesuffix(_ESTIMATED)
    source = known.removesuffix(_RUN)
    rank = RANK[source] if known == reporter else min(RANK[source], _RANK_OF_ESTIMATES)
    return 2 * rank - (source != known)


def is_browsers_word(known: Known) -> bool:
    """Whether nobody else has said so: then whoever knows better takes the event's names over."""
    return known.rank <= rank_of(Source.BROWSER.value)


def judge_known(event: Event, known: Known) -> Verdict:
    """What an event means that has a charge already."""
    told, reporter = event.told, event.reporter
    earlier = known.said_by(reporter)
    if told.account_id != known.told.account_id:
        return Verdict.CONFLICT  # no money moves from one person to another
    if earlier is not None and earlier != told:
        return Verdict.CONFLICT
    if known.state is State.UNPAID and told == known.told:
        return Verdict.CHARGE  # delivered again: perhaps there is money now
    if earlier is not None:
        return Verdict.REPEAT
    if told == known.told or rank_of(reporter) <= known.rank:
        return Verdict.NOTE
    return Verdict.ADJUST


def judge_cost(cost: Cost, free_micros: int, floor_micros: int, policy: Policy) -> Verdict:
    """Whether this much may be taken from a wallet; size is looked at before the balance."""
    if cost.micros > policy.charge_micros_max:
        return Verdict.REVIEW
    if policy.is_owed:
        return Verdict.CHARGE
    down_to_micros = floor_micros if policy.may_overdraw else 0
    if cost.micros and free_micros - cost.micros < down_to_micros:
        return Verdict.UNPAID
    return Verdict.CHARGE


def consumption_id(charge_id: int) -> str:
    """How a charge is named to whoever reported it."""
    return f"cons_{charge_id}"


def charge_id_of(text: str) -> int | None:
    """The charge of that name, which may be its number alone."""
    digits = text.removeprefix("cons_")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else None
