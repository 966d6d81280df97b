"""Commands about Dify: its apps, and the traces that its servers export."""

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from tallygate.core.commands import Arguments


class SaveDifyApp(Arguments):
    """Create an app or change one. → DifyAppView, a new one's with `trace_secret`."""

    NAME = "dify_app.save"
    name: str
    is_new: bool
    instance: str | UnsetType = UNSET
    api_url: str | UnsetType = UNSET
    secret: str | UnsetType = UNSET
    billed_by: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    hold_micros: int | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class DeleteDifyApp(Arguments):
    NAME = "dify_app.delete"
    name: str


class RenewDifyTracing(Arguments):
    """A new pair for an app's tracing export; the old one ends. → DifyAppView with the secret."""

    NAME = "dify_app.renew_tracing"
    name: str


ABSURD: Final = -1  # a count that is negative, beyond all models, or no number


class Observation(msgspec.Struct, kw_only=True):
    """One use of a model, as a trace tells of it; a count may be ABSURD."""

    id: str
    model: str
    input_tokens: int
    output_tokens: int
    is_of_node: bool  # by a node of a workflow; else it is the sum of a whole message


class TraceTold(msgspec.Struct, kw_only=True):
    """What one delivery says of one trace; further ones add to it. Unknown texts are empty."""

    trace_id: str
    account_id: str = ""
    conversation_id: str = ""
    message_id: str = ""
    run_id: str = ""
    event_ms: int = 0
    observations: list[Observation] = []


class TakeTraces(Arguments):
    """→ {"traces": <taken>}"""

    NAME = "dify.traces"
    app_id: int
    traces: list[TraceTold]


class TakeBrowserEvents(Arguments):
    """What a signed-in user's browser has seen. → BrowserAnswer"""

    NAME = "dify.browser_events"
    account_id: str
    body: bytes
    app: str = ""
    request_id: str = ""


class BrowserAnswer(msgspec.Struct, kw_only=True):
    """As a delivery of the same is answered."""

    status: int
    body: bytes


class DifyAppView(msgspec.Struct, kw_only=True):
    """An app without its secrets. `trace_secret` only when it has just been made."""

    id: int
    name: str
    instance: str
    api_url: str
    has_secret: bool
    billed_by: str
    model: str
    hold_micros: int
    trace_public: str | None
    is_active: bool
    is_from_settings: bool
    created_ms: int
    trace_secret: str | None = None
