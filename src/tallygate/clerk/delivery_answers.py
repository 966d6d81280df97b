"""What a delivery is answered with: the contract's words for what became of each of its events."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tallygate.core.charging import State, consumption_id
from tallygate.core.errors import STATUS, Code, Refusal
from tallygate.core.money import format_points
from tallygate.store.charging import Outcome

DONE = "Token consumption processed successfully"
HELD_FOR_REVIEW = "held_for_review"
MULTI_STATUS = 207

_encode = msgspec.json.Encoder().encode

_NO_CHARGE = {"consumptionId": None, "pointsDeducted": 0, "tokensUsed": 0}
_STATE_CHARGED = State.CHARGED.value
_WORDS: dict[str, tuple[int, str]] = {
    State.CHARGED.value: (200, DONE),
    State.REFUNDED.value: (200, DONE),
    State.NOTED.value: (200, "Recorded; it is charged elsewhere, or not yet confirmed"),
    State.REJECTED.value: (200, "Recorded; an operator decided that it is not charged"),
    State.REVIEW.value: (202, f"{HELD_FOR_REVIEW}: it is above the largest single charge"),
}


class Consumption(msgspec.Struct):
    """The contract's `data`."""

    consumptionId: str  # noqa: N815 - the contract's own name
    pointsDeducted: msgspec.Raw  # noqa: N815
    tokensUsed: int  # noqa: N815


class Accepted(msgspec.Struct):
    success: bool
    message: str
    data: Any


class Answer(msgspec.Struct):
    """Of one event."""

    status: int
    value: Any  # what is encoded as JSON


# By far the most are answered so: written in one go, and the same as if it were encoded.
_CHARGED = (
    b'{"success":true,"message":"%b","data":'
    b'{"consumptionId":"%b","pointsDeducted":%b,"tokensUsed":%d}}'
)


def ignored() -> Answer:
    return Answer(200, Accepted(True, "Ignored: this event is about no usage", _NO_CHARGE))


def refused(refusal: Refusal, request_id: str) -> Answer:
    return Answer(refusal.status, _error(refusal.code, refusal.message, request_id))


def of_outcome(outcome: Outcome, request_id: str) -> Answer:
    row = outcome.row
    if outcome.refusal is not None or row is None:
        refusal = outcome.refusal or Refusal(Code.INTERNAL, "nothing became of this event")
        return refused(refusal, request_id)
    points = format_points(outcome.deducted_micros).encode()
    tokens = row.input_tokens + row.output_tokens
    if row.state == _STATE_CHARGED:
        named = consumption_id(row.id).encode()
        return Answer(200, msgspec.Raw(_CHARGED % (DONE.encode(), named, points, tokens)))
    data = Consumption(consumption_id(row.id), msgspec.Raw(points), tokens)
    if row.state == State.UNPAID.value:
        message = "the balance is too small: it is recorded as unpaid"
        error = _error(Code.INSUFFICIENT_BALANCE, message, request_id)
        status = STATUS[Code.INSUFFICIENT_BALANCE]
        return Answer(status, {**error, "data": data})
    status, message = _WORDS[row.state]
    value = Accepted(True, message, data)
    if row.state == State.REVIEW.value:
        shown = {
            **msgspec.to_builtins(data, builtin_types=(msgspec.Raw,)),
            "status": HELD_FOR_REVIEW,
        }
        value = Accepted(True, message, shown)
    return Answer(status, value)


def _error(code: Code, message: str, request_id: str) -> dict[str, Any]:
    detail = {"code": code.value, "message": message, "request_id": request_id}
    return {"success": False, "message": message, "error": detail}


def encoded(answers: Sequence[Answer], *, is_batch: bool) -> tuple[int, bytes]:
    """Status and body: of a single event its own, of a batch one that tells of each."""
    if not is_batch:
        return answers[0].status, _encode(answers[0].value)
    failed = sum(answer.status >= 300 for answer in answers)
    message = f"{len(answers) - failed} of {len(answers)} events were processed"
    results = [{"status": answer.status, "result": answer.value} for answer in answers]
    value = {"success": not failed, "message": message, "data": {"results": results}}
    return MULTI_STATUS if failed else 200, _encode(value)
