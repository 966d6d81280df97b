"""The commands of whoever looks after charges: unpaid ones, reviews, and dead letters."""

import msgspec

from tallygate.core.commands import Arguments


class SettleCharge(Arguments):
    """Charge what was unpaid, if there is money now. → ChargeView."""

    NAME = "charge.settle"
    charge_id: int


class SettleAccount(Arguments):
    """Charge what an account has left unpaid, the oldest first, as far as money goes. → Settled."""

    NAME = "charge.settle_account"
    account_id: str


class ApproveCharge(Arguments):
    """Charge what was held for review. → ChargeView; unpaid if the balance is too small."""

    NAME = "charge.approve"
    charge_id: int
    reason: str = ""


class RejectCharge(Arguments):
    """Let what is unpaid or under review never be charged. → ChargeView."""

    NAME = "charge.reject"
    charge_id: int
    reason: str = ""


class ReplayLetter(Arguments):
    """Send a dead letter in again, by the prices of now and whatever its age. → Replayed.

    What is refused again is a refusal of this command, and the letter stays as it is.
    """

    NAME = "dead_letter.replay"
    letter_id: int


class DismissLetter(Arguments):
    """Nothing will be charged for it. → LetterView."""

    NAME = "dead_letter.dismiss"
    letter_id: int
    reason: str = ""


class ChargeView(msgspec.Struct, kw_only=True):
    """A charge. `reports` is what sources that were not believed, or said the same, have told."""

    id: int
    account_id: str
    state: str
    source: str
    instance: str
    model: str
    price_id: int | None
    rate_id: int | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    micros: int
    output_micros: int
    refunded_micros: int
    balance_micros: int
    key_id: int
    request_id: str
    conversation_id: str
    message_id: str
    parts: str | None
    reports: str | None
    event_ms: int
    at_ms: int


class Settled(msgspec.Struct, kw_only=True):
    """How many charges were paid, and what of the account is still unpaid."""

    account_id: str
    paid: int
    paid_micros: int
    unpaid: int
    unpaid_micros: int


class LetterView(msgspec.Struct, kw_only=True):
    """A dead letter without what came."""

    id: int
    state: str
    code: str
    message: str
    charge_id: int | None


class Replayed(msgspec.Struct, kw_only=True):
    letter: LetterView
    charges: list[ChargeView]
