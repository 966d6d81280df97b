"""What is said to whoever reports an event that can not be charged as they say."""

from tallygate.core.charging import Event, consumption_id
from tallygate.core.errors import Code, Refusal
from tallygate.core.event_fields import TOKENS_MAX
from tallygate.store.charge_rows import Row


def unknown_user(event: Event) -> Refusal:
    named = f"no account is named {event.account_id!r}" if event.account_id else "name a user"
    return Refusal(Code.UNKNOWN_USER, named, param="user_id")


def absurd(event: Event) -> Refusal | None:
    """Deliveries are held to this when they are read; a trace is a sum of what came by and by."""
    if min(event.counts.values()) >= 0 and event.tokens <= TOKENS_MAX:
        return None
    message = f"an event has from 0 to {TOKENS_MAX} tokens of each kind"
    return Refusal(Code.TOKENS_OUT_OF_RANGE, message)


def conflict(row: Row) -> Refusal:
    return Refusal(
        Code.EVENT_CONFLICT,
        f"this event is {consumption_id(row.id)}, with other numbers or for another user",
    )


def not_taken() -> Refusal:
    return Refusal(Code.FORBIDDEN, "what browsers report is not taken here")
