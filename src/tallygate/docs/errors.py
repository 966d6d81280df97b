"""docs/reference/errors.md: every code, its status, what it means and what to do."""

from tallygate.core.errors import STATUS, Code

MEANINGS = {
    Code.BAD_REQUEST: "Something in the request is not as it should be; the message names it.",
    Code.UNKNOWN_FIELD: "The body has a field that this call does not know.",
    Code.UNAUTHORIZED: "Nobody is signed in, or a wrong token or password came.",
    Code.INVALID_API_KEY: "No key came, or one that is unknown: mistyped, deleted, or its grace "
    "after a rotation is over.",
    Code.KEY_INACTIVE: "The key was switched off; its owner can ask the operator.",
    Code.KEY_EXPIRED: "The key's time is over.",
    Code.FORBIDDEN: "The caller is known, but this is not theirs to do.",
    Code.MODEL_NOT_ALLOWED: "The key may not use this model.",
    Code.ADDRESS_NOT_ALLOWED: "The key may not be used from this address.",
    Code.MODEL_NOT_FOUND: "No provider that the key may use has this model.",
    Code.NOT_FOUND: "There is nothing of that name.",
    Code.METHOD_NOT_ALLOWED: "The path is right, the method is not.",
    Code.CONFLICT: "It contradicts what is there, as a name that is taken.",
    Code.IDEMPOTENCY_CONFLICT: "This `Idempotency-Key` came with another payload before.",
    Code.REQUEST_RUNNING: "A request with this `Idempotency-Key` is still running, or its answer "
    "was not kept.",
    Code.REQUEST_TIMEOUT: "The request did not arrive in time.",
    Code.TOO_LARGE: "The body is larger than allowed.",
    Code.IMPOSSIBLE: "Well formed, but it can not be done.",
    Code.RATE_LIMIT_EXCEEDED: "A limit that fills again soon is used up; `Retry-After` says when.",
    Code.INSUFFICIENT_QUOTA: "A quota is used up, and `Retry-After` says when its window ends; or "
    "the wallet that pays for the key does not cover what the request may cost.",
    Code.MODEL_NOT_PRICED: "A wallet pays for this key, and the model has no active price, or no "
    "exchange rate for it; the operator can set one.",
    Code.INSUFFICIENT_BALANCE: "The wallet holds less than that; what is held or leased to "
    "gateways is spoken for. A reported event is recorded as unpaid, and tried again when it comes "
    "again.",
    Code.OVERLOADED: "This node holds all that it may hold; try again.",
    Code.STORE_UNAVAILABLE: "The store does not answer, and nothing was decided; try again.",
    Code.JOURNAL_UNAVAILABLE: "What is answered could not be written down, so nothing is let "
    "through: the operator's disk is full or failing.",
    Code.NO_PROVIDER: "No provider is configured, active and able to take this request.",
    Code.UPSTREAM_UNREACHABLE: "No connection to the provider; the request was not counted.",
    Code.UPSTREAM_REFUSED: "The provider refused what the operator must mend there: its key, its "
    "quota or its access.",
    Code.UPSTREAM_TIMEOUT: "The provider did not answer in time; the request was not counted.",
    Code.UPSTREAM_MISBEHAVED: "What the provider answered is no HTTP that can be passed on.",
    Code.INTERNAL: "An error of Tallygate's own; the log has it under the request's id.",
    Code.WEBHOOK_CLOSED: "Nobody may deliver events: neither `TALLYGATE_DIFY_WEBHOOK_KEY` nor "
    "`TALLYGATE_DIFY_WEBHOOK_SECRET` is set.",
    Code.INVALID_SIGNATURE: "The delivery bears no signature, a wrong one, or one that is too old.",
    Code.EVENT_CONFLICT: "The same event was reported with other numbers, or for another user; it "
    "is kept as a dead letter.",
    Code.EVENT_TOO_OLD: "The event is older than `TALLYGATE_DIFY_MAX_AGE_DAYS`; kept as a dead "
    "letter.",
    Code.EVENT_IN_FUTURE: "The event's time is more than five minutes ahead; kept as a dead "
    "letter.",
    Code.TOKEN_TOTAL_MISMATCH: "`total_tokens` is not the sum of its parts; kept as a dead letter.",
    Code.TOKENS_OUT_OF_RANGE: "A count is negative, or above ten million in one event; kept as a "
    "dead letter.",
    Code.USAGE_MISSING: "The event should say what was used, and does not; kept as a dead letter.",
    Code.UNKNOWN_USER: "No account has this id, or none was named; kept as a dead letter.",
    Code.UNKNOWN_MODEL: "No active price is known for this model, or none was named; an event "
    "is kept as a dead letter.",
    Code.NO_EXCHANGE_RATE: "The model's price is in US dollars and no rate is set; an event is "
    "kept as a dead letter.",
}

_HEAD = """# Error codes

A code is a promise: programs may branch on it. Under `/admin` and `/api` errors look like
`{"error": {"code", "message", "request_id"}}`, with `param` where one field or one word of the
query is meant; under `/v1` they have OpenAI's shape, on `/v1/messages` Anthropic's, with the same
code. Written by `make docs`.

| code | status | meaning |
|---|---|---|
"""


def page() -> str:
    rows = [f"| `{code.value}` | {STATUS[code]} | {MEANINGS[code]} |\n" for code in Code]
    return _HEAD + "".join(rows)
