"""A Dify app: whose service API we stand in front of, and how its use is billed."""

import enum
from typing import Final

import msgspec

from tallygate.core.money import MICROS

# A message has one identity within a Dify server, whoever tells us of it. Whoever runs one server
# never needs another name for it than this.
DEFAULT_INSTANCE: Final = "dify"
DEFAULT_APP: Final = "default"  # the app that is asked where a path names none
ROUTE_PREFIX: Final = "dify/"
DEFAULT_HOLD_POINTS: Final = 100


class BilledBy(enum.StrEnum):
    """Where the tokens of an app are charged."""

    DIFY = "dify"  # by the app's messages, from whatever source
    GATEWAY = "gateway"  # Dify calls its models through our /v1 with a key of the account


class App(msgspec.Struct, frozen=True, array_like=True):
    """What a gateway needs of an app."""

    name: str
    instance: str
    api_url: str  # with /v1, as Dify shows it
    secret: str
    billed_by: BilledBy = BilledBy.DIFY
    model: str = ""  # whose price counts where an answer names no model
    hold_micros: int = 0  # what a call sets aside of a wallet until its cost is known

    def __repr__(self) -> str:
        return f"<App {self.name} {self.api_url}>"

    @property
    def route(self) -> str:
        """Its name among models: what a key's list of models allows, and upstreams are known by."""
        return ROUTE_PREFIX + self.name


def app_of_settings(api_url: str, api_key: str | None, model: str, hold_points: int) -> App | None:
    """The default app, if both settings are there."""
    if not api_url or not api_key:
        return None
    return App(
        name=DEFAULT_APP,
        instance=DEFAULT_INSTANCE,
        api_url=api_url,
        secret=api_key,
        model=model,
        hold_micros=hold_points * MICROS,
    )


def user_of(user_id: str, key_id: int) -> str:
    """Who a call is made for, in Dify's eyes. A key without an account stands for itself."""
    return user_id or f"key-{key_id}"


def with_version(api_url: str) -> str:
    """An address as Dify shows it; Dify's own without a path gets the one it has everywhere."""
    url = api_url.rstrip("/")
    return url if "/" in url.partition("://")[2] else f"{url}/v1"
