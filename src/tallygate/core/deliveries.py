"""Deliveries between gateway and clerk: messages of core/ports.py, in frames like all of them."""

import msgspec


class Deliver(msgspec.Struct, array_like=True, gc=False, tag="deliver"):
    """A delivery that says what somebody used, authenticated; `Delivered` answers it.

    `app` and `user` are what it names beside its body, `delivery_id` the id under which its sender
    repeats it ("" for none). `refusal` is a worker's own, of a body that it did not take.
    """

    id: int
    request_id: str
    app: str
    user: str
    delivery_id: str
    arrived_ms: int  # monotonic
    body: bytes
    refusal: str = ""


class DeliveryAnswer(msgspec.Struct, array_like=True, gc=False):
    """What a delivery is answered with, once what it said is in the store."""

    id: int
    status: int
    body: bytes


class Delivered(msgspec.Struct, array_like=True, tag="delivered"):
    """Deliveries that shared a transaction."""

    answers: list[DeliveryAnswer]
