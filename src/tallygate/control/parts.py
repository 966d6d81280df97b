"""What the control plane is made of; `service` puts it together, tests put in their own."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tallygate.control.authentication import AdminDoor
from tallygate.control.orders import Clerk
from tallygate.control.sign_in import SignIn
from tallygate.core.dify import App
from tallygate.core.provider import Provider
from tallygate.store.database import Database


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
    sign_in: SignIn = field(default_factory=SignIn)
    settings_app: App | None = None  # of TALLYGATE_DIFY_API_URL

    def __repr__(self) -> str:
        return f"<Parts of {self.node_name}>"  # the master key stays unseen
