"""A call of a Dify app: on whose behalf, as the server gets it, and which event its answer was."""

from typing import TYPE_CHECKING

from tallygate.core.dialect import Dialect
from tallygate.core.dify import App, BilledBy, user_of
from tallygate.core.dify_request import in_json, in_query, read_call, with_user
from tallygate.core.entry import DifyUse
from tallygate.core.errors import Code, Refusal
from tallygate.core.meters import Meter
from tallygate.core.meters.dify import DifyBody, DifyStream
from tallygate.core.meters.dify_reading import Part, Said
from tallygate.core.ports import Key
from tallygate.core.request import BadRequest, MeteredRequest
from tallygate.core.usage import INPUT_TOKENS, OUTPUT_TOKENS, Source
from tallygate.gateway.dify_path import DifyPath
from tallygate.gateway.upstreams import Candidate, Upstream
from tallygate.gateway.verdicts import is_model_allowed
from tallygate.wire.head import RequestHead

if TYPE_CHECKING:
    from tallygate.gateway.application import Gateway

# A key with this scope may also see and change what belongs to all users of an app.
WHOLE_APP_SCOPE = "dify"
_BODILESS = frozenset((b"GET", b"HEAD", b"OPTIONS"))


class DifyCall:
    """What is known of one; Refusal when its key may not make it."""

    __slots__ = (
        "_body",
        "_content_type",
        "_head",
        "_target",
        "answer",
        "app",
        "candidates",
        "user",
    )

    def __init__(self, gateway: "Gateway", head: RequestHead, path: DifyPath, key: Key) -> None:
        found = gateway.upstreams.apps.get(path.app)
        if found is None:
            raise Refusal(Code.NOT_FOUND, f"No Dify app is served as {path.app!r} here.")
        self.app: App = found[0]
        self.candidates: tuple[Candidate, ...] = ((found[1], ""),)
        if key.models is not None and not is_model_allowed(self.app.route, key.models):
            raise Refusal(Code.MODEL_NOT_ALLOWED, f"This API key may not use {self.app.route!r}.")
        if path.is_about_whole_app and WHOLE_APP_SCOPE not in key.scopes:
            raise Refusal(
                Code.FORBIDDEN, f"This call needs a key with the scope {WHOLE_APP_SCOPE!r}."
            )
        self.user = user_of(key.user_id, key.id)
        self.answer: Meter | None = None  # of a call that is metered, once one has begun
        self._head = head
        self._target = self._target_of(path)
        self._body = b""
        self._content_type = b""

    @property
    def hold_micros(self) -> int:
        """What is set aside of the wallet that pays."""
        return self.app.hold_micros if self.app.billed_by is BilledBy.DIFY else 0

    def read(self, dialect: Dialect | None, body: bytes) -> MeteredRequest:
        """A call that is metered."""
        assert dialect is not None, "only metered calls are read"
        try:
            request = read_call(dialect, body, self.app.model or self.app.route)
        except BadRequest as error:
            raise Refusal(Code.BAD_REQUEST, error.message, param=error.param) from None
        self._body = in_json(body, request.members, self.user)
        self._content_type = b"application/json"
        return request

    def take(self, body: bytes) -> None:
        """A call that is not metered."""
        head = self._head
        if head.method in _BODILESS:
            return  # a body would be of no use, but for a user that we have not looked for
        try:
            content_type = head.value(b"content-type")
            self._body, self._content_type = with_user(body, content_type, self.user)
        except BadRequest as error:
            raise Refusal(Code.BAD_REQUEST, error.message, param=error.param) from None

    def data(self, upstream: Upstream) -> bytes:
        """The request as Dify gets it."""
        prefix = upstream.prefix_to(self._head, self._target, self._content_type)
        return b"%b%d\r\n\r\n%b" % (prefix, len(self._body), self._body)

    def _target_of(self, path: DifyPath) -> bytes:
        head = self._head
        query = head.target.partition(b"?")[2]
        if not query and head.method not in _BODILESS:
            return path.path
        try:
            return b"%b?%b" % (path.path, in_query(query, self.user))
        except BadRequest as error:
            raise Refusal(Code.BAD_REQUEST, error.message) from None

    def event(self, left_after_input: int | None = None) -> DifyUse | None:
        """Which event the answer was; None if no answer began, or none that used anything.

        `left_after_input`: the client left, and the app may have worked on so many tokens for it
        whether or not it has said so by now.
        """
        meter = self.answer
        said, is_unknown = _NOTHING_SAID, False
        if isinstance(meter, DifyStream | DifyBody):
            said = meter.said()
            if meter.saw_error or _is_told(meter):
                left_after_input = None
        parts = said.parts
        if left_after_input is not None and self.app.billed_by is BilledBy.DIFY:
            parts, is_unknown = (("", {INPUT_TOKENS: left_after_input, OUTPUT_TOKENS: 0}),), True
        if not parts:
            return None
        parts = _with_model(parts, self.app.model)
        most = max(parts, key=lambda part: (bool(part[0]), sum(part[1].values())))
        return DifyUse(
            self.app.instance,
            said.aliases,
            said.conversation_id,
            said.message_id,
            most[0],
            parts,
            self.app.billed_by is BilledBy.DIFY,
            is_unknown,
        )


def _is_told(meter: Meter) -> bool:
    """Whether there is a count to go by: one that the app said, or text to count."""
    usage = meter.usage()
    return usage.source is Source.REPORTED or any(usage.counts.values())


_NOTHING_SAID = Said("", "", "", ())


def _with_model(parts: tuple[Part, ...], model: str) -> tuple[Part, ...]:
    """What nobody named is the app's model's, beside what nodes used of the same."""
    sums: dict[str, dict[str, int]] = {}
    for name, counts in parts:
        sums_of_model = sums.setdefault(name or model, dict.fromkeys(counts, 0))
        for dimension, count in counts.items():
            sums_of_model[dimension] += count
    return tuple(sums.items())
