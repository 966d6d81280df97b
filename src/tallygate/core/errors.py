"""Every refusal Tallygate makes: one stable code, one HTTP status, one default sentence.

A code is a promise to callers and is documented in docs/reference/errors.md. The message is public;
what only an operator may know goes to the log, never here.
"""

import enum


class Code(enum.StrEnum):
    """Stable names of what went wrong, as callers see them."""

    BAD_REQUEST = "bad_request"
    UNKNOWN_FIELD = "unknown_field"
    UNAUTHORIZED = "unauthorized"
    INVALID_API_KEY = "invalid_api_key"
    KEY_INACTIVE = "key_inactive"
    KEY_EXPIRED = "key_expired"
    FORBIDDEN = "forbidden"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    MODEL_NOT_FOUND = "model_not_found"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    REQUEST_RUNNING = "request_running"
    REQUEST_TIMEOUT = "request_timeout"
    TOO_LARGE = "request_too_large"
    IMPOSSIBLE = "impossible"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    INSUFFICIENT_QUOTA = "insufficient_quota"
    MODEL_NOT_PRICED = "model_not_priced"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    OVERLOADED = "overloaded"
    STORE_UNAVAILABLE = "store_unavailable"
    JOURNAL_UNAVAILABLE = "journal_unavailable"
    NO_PROVIDER = "no_provider"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_MISBEHAVED = "upstream_misbehaved"
    UPSTREAM_REFUSED = "upstream_refused"
    INTERNAL = "internal_error"
    # Of deliveries that say what somebody used.
    WEBHOOK_CLOSED = "webhook_closed"
    INVALID_SIGNATURE = "invalid_signature"
    EVENT_CONFLICT = "event_conflict"
    EVENT_TOO_OLD = "event_too_old"
    EVENT_IN_FUTURE = "event_in_future"
    TOKEN_TOTAL_MISMATCH = "token_total_mismatch"  # noqa: S105 - a code, not a secret
    TOKENS_OUT_OF_RANGE = "tokens_out_of_range"
    USAGE_MISSING = "usage_missing"
    UNKNOWN_USER = "unknown_user"
    UNKNOWN_MODEL = "unknown_model"
    NO_EXCHANGE_RATE = "no_exchange_rate"


STATUS: dict[Code, int] = {
    Code.BAD_REQUEST: 400,
    Code.UNKNOWN_FIELD: 400,
    Code.UNAUTHORIZED: 401,
    Code.INVALID_API_KEY: 401,
    Code.KEY_INACTIVE: 403,
    Code.KEY_EXPIRED: 403,
    Code.FORBIDDEN: 403,
    Code.MODEL_NOT_ALLOWED: 403,
    Code.ADDRESS_NOT_ALLOWED: 403,
    Code.MODEL_NOT_FOUND: 404,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.CONFLICT: 409,
    Code.IDEMPOTENCY_CONFLICT: 409,
    Code.REQUEST_RUNNING: 409,
    Code.REQUEST_TIMEOUT: 408,
    Code.TOO_LARGE: 413,
    Code.IMPOSSIBLE: 422,
    Code.RATE_LIMIT_EXCEEDED: 429,
    Code.INSUFFICIENT_QUOTA: 429,
    Code.MODEL_NOT_PRICED: 422,
    Code.INSUFFICIENT_BALANCE: 402,
    Code.OVERLOADED: 503,
    Code.STORE_UNAVAILABLE: 503,
    Code.JOURNAL_UNAVAILABLE: 503,
    Code.NO_PROVIDER: 503,
    Code.UPSTREAM_UNREACHABLE: 502,
    Code.UPSTREAM_TIMEOUT: 504,
    Code.UPSTREAM_MISBEHAVED: 502,
    Code.UPSTREAM_REFUSED: 502,
    Code.INTERNAL: 500,
    Code.WEBHOOK_CLOSED: 403,
    Code.INVALID_SIGNATURE: 401,
    Code.EVENT_CONFLICT: 409,
    Code.EVENT_TOO_OLD: 422,
    Code.EVENT_IN_FUTURE: 422,
    Code.TOKEN_TOTAL_MISMATCH: 422,
    Code.TOKENS_OUT_OF_RANGE: 422,
    Code.USAGE_MISSING: 422,
    Code.UNKNOWN_USER: 422,
    Code.UNKNOWN_MODEL: 422,
    Code.NO_EXCHANGE_RATE: 422,
}


class Refusal(Exception):
    """The request was understood well enough to say no, and why.

    Where the method is refused, `allow` says which ones are not (RFC 9110, 15.5.6).
    """

    def __init__(
        self, code: Code, message: str, *, param: str | None = None, allow: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.allow = allow

    @property
    def status(self) -> int:
        return STATUS[self.code]


class StoreUnavailable(Exception):
    """The store did not answer; nothing was decided and nothing was written."""


class TransactionUndone(StoreUnavailable):
    """The store answers, and undid the transaction: two of them waited for each other."""


class StoreRefused(Exception):
    """The store can not be used as it is (too old, too new, half migrated, corrupt)."""
