"""What can no longer happen to a request that came whole, however long its answer takes."""


class Gathered:
    """Base of whoever answers such a request: its body is neither received nor sent in pieces."""

    __slots__ = ()

    def body_received(self, data: bytes) -> None:
        raise AssertionError("this request was gathered")

    def body_ended(self) -> None:
        raise AssertionError("this request was gathered")

    def upstream_slow(self) -> None:
        """It takes its time to read; all there is has been sent, and nothing can be held back."""

    def upstream_ready(self) -> None: ...
