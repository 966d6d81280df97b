"""What gateway and clerk say of Idempotency-Keys of billable calls."""

import msgspec


class Claim(msgspec.Struct, array_like=True, tag="claim"):
    """Claim an Idempotency-Key of a billable call."""

    id: int
    key_id: int
    idempotency_key: str
    payload_hash: bytes
    request_id: str


class Fulfil(msgspec.Struct, array_like=True, tag="fulfil"):
    """The claimed call ended. `answer` None: a stream, or too large to be kept.

    It may come late, so it names the call: a key that another call has claimed since stays that's.
    It is said to the next clerk again until one has answered `Fulfilled`.
    """

    key_id: int
    idempotency_key: str
    is_released: bool  # given back: the next call with this key runs anew
    status: int
    content_type: str
    answer: bytes | None
    request_id: str = ""  # "" from a worker that was started before there was such a field
    id: int = 0


class Claimed(msgspec.Struct, array_like=True, tag="claimed"):
    """`state`: new, running, done, conflict or unavailable."""

    id: int
    state: str
    request_id: str
    status: int
    content_type: str
    answer: bytes | None


class Fulfilled(msgspec.Struct, array_like=True, tag="fulfilled"):
    ids: list[int]
