"""What the control plane is made of; `service` puts it together, tests put in their own."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from tallygate.control.authentication import AdminDoor, GuessBudget
from tallygate.control.console import Console
from tallygate.control.doctor import no_doctor
from tallygate.control.orders import Clerk
from tallygate.control.shown_settings import Setting
from tallygate.control.sign_in import SignIn
from tallygate.core.charging import Trust
from tallygate.core.dify import App
from tallygate.core.provider import Provider
from tallygate.kinds import Kinds
from tallygate.kinds import load as load_kinds
from tallygate.store.database import Database

# Of an address and of an account; a code has 120 bits, so this is to keep the noise down.
CODE_GUESSES_MAX = 10
CODE_GUESSES_REFILLED_PER_S = 1 / 60
# Of an account: a page sends one event a second, and what it had gathered while it was offline.
PAGE_EVENTS_MAX = 120
PAGE_EVENTS_REFILLED_PER_S = 1.0


def _code_guesses() -> GuessBudget:
    return GuessBudget(monotonic, CODE_GUESSES_MAX, CODE_GUESSES_REFILLED_PER_S)


def _page_events() -> GuessBudget:
    return GuessBudget(monotonic, PAGE_EVENTS_MAX, PAGE_EVENTS_REFILLED_PER_S)


@dataclass(frozen=True, slots=True)
class Parts:
    """`from_settings` is the provider of DEEPSEEK_API_KEY; `node_name` is this node's."""

    database: Database
    clerk: Clerk
    door: AdminDoor
    master_key: bytes
    time_zone: str
    keeps_sealed_keys: bool
    from_settings: Provider | None
    node_name: str
    render_metrics: Callable[[], Awaitable[bytes]]
    settings_app: App | None = None  # of TALLYGATE_DIFY_API_URL
    edge_namespace_id: str = ""  # nothing: there is no edge
    edge_writes_per_day: int = 0
    kinds: Callable[[], Kinds] = lambda: load_kinds(Path("kinds"))  # of credentials
    sign_in: SignIn = field(default_factory=SignIn)
    console: Console = field(default_factory=Console)
    console_host: str = ""  # the only one for console and API, if set
    settings: tuple[Setting, ...] = ()  # as operators may see them
    doctor: Callable[[], Awaitable[bytes]] = no_doctor
    is_ending: Callable[[], bool] = lambda: False  # this process was told to stop
    code_guesses: GuessBudget = field(default_factory=_code_guesses)
    page_events: GuessBudget = field(default_factory=_page_events)
    dify_in_pages: bool = False
    browser_trust: Trust = Trust.HINT
    notice_language: str = "en"  # of users who have not chosen one

    def __repr__(self) -> str:
        return f"<Parts of {self.node_name}>"  # the master key stays unseen
