"""One table of who may do what: every call of the API has its line here, or only the admin token.

docs/reference/roles.md is written from it, and a test asks every route as every kind of caller.
"""

import enum
from dataclasses import dataclass
from typing import Final

from tallygate.control.callers import Caller, Kind
from tallygate.core.accounts import Role


class Need(enum.Enum):
    """What a call asks of its caller; the value says it in the reference."""

    OPEN = "everybody"
    OWN = "the call's own secret"  # it authenticates itself
    SELF = "whoever is signed in, also by a key of their own"
    SIGNED_IN = "whoever is signed in"
    READ = "viewer, operator, admin"
    OPERATE = "operator, admin"
    ADMINISTER = "admin"


@dataclass(frozen=True, slots=True)
class Rule:
    """What the calls below `path` need, to look and to change; `note` is for the reference."""

    path: str
    read: Need
    change: Need
    note: str = ""


RULES: Final = (
    Rule("/admin/keys", Need.OPERATE, Need.OPERATE, "The list shows whole keys."),
    Rule("/admin/usage", Need.READ, Need.OPERATE),
    Rule("/api/keys", Need.READ, Need.OPERATE),
    Rule("/api/tokens", Need.READ, Need.OPERATE),
    Rule("/api/routes", Need.READ, Need.ADMINISTER, "Its address is where its headers go."),
    Rule("/api/edge", Need.READ, Need.OPERATE),
    Rule(
        "/api/usage",
        Need.SIGNED_IN,
        Need.ADMINISTER,
        "Members see the uses of their own keys, everybody else those of all.",
    ),
    Rule("/api/usage/overview/live", Need.READ, Need.ADMINISTER),
    Rule("/api/usage/reports", Need.READ, Need.OPERATE),
    Rule("/api/nodes", Need.READ, Need.OPERATE),
    Rule("/api/audit", Need.READ, Need.ADMINISTER),
    Rule("/metrics", Need.READ, Need.ADMINISTER),
    Rule(
        "/api/providers",
        Need.READ,
        Need.ADMINISTER,
        "An operator may change a provider, but neither its secret nor where that is sent.",
    ),
    Rule("/api/providers/{name}", Need.READ, Need.OPERATE),
    Rule(
        "/api/users",
        Need.READ,
        Need.OPERATE,
        "An operator makes and changes members; accounts with another role, and roles, are an "
        "admin's.",
    ),
    Rule("/api/teams", Need.READ, Need.OPERATE),
    Rule("/api/models", Need.READ, Need.OPERATE),
    Rule("/api/prices", Need.READ, Need.READ, "Calculating changes nothing."),
    Rule("/api/exchange-rate", Need.READ, Need.OPERATE),
    Rule("/api/charges", Need.READ, Need.OPERATE),
    Rule("/api/dead-letters", Need.READ, Need.OPERATE),
    Rule("/api/consumption", Need.READ, Need.OPERATE),
    Rule("/api/grants", Need.READ, Need.OPERATE),
    Rule("/api/holds", Need.READ, Need.OPERATE),
    Rule("/api/budgets", Need.READ, Need.OPERATE),
    Rule("/api/notices", Need.READ, Need.OPERATE),
    Rule(
        "/api/anomalies",
        Need.READ,
        Need.OPERATE,
        "A member sees those of their own keys at `/api/user/anomalies`.",
    ),
    Rule("/api/redeem-batches", Need.READ, Need.OPERATE),
    Rule("/api/dify", Need.READ, Need.OPERATE),
    Rule("/api/dify/apps", Need.READ, Need.ADMINISTER, "An app's address is where its key goes."),
    Rule(
        "/api/dify/events",
        Need.SIGNED_IN,
        Need.SIGNED_IN,
        "What one's own browser has seen, for one's own account.",
    ),
    Rule("/api/dify/config", Need.OPEN, Need.OPEN, "Whether pages that embed Dify count points."),
    Rule(
        "/api/credentials",
        Need.READ,
        Need.ADMINISTER,
        "A credential's variables say where its secret is sent.",
    ),
    Rule("/api/credentials/{id}/restore", Need.READ, Need.OPERATE),
    Rule("/api/credentials/{id}/check", Need.READ, Need.OPERATE),
    Rule("/api/keeper", Need.READ, Need.OPERATE),
    Rule("/api/public", Need.OWN, Need.OWN, "Dify's tracing, by an app's own pair of keys."),
    Rule("/api/user", Need.SELF, Need.SELF, "Only what belongs to the caller's own account."),
    Rule(
        "/api/user/keys",
        Need.SIGNED_IN,
        Need.SIGNED_IN,
        "A key makes no keys: a restricted one would make itself an unrestricted one.",
    ),
    Rule("/api/user/password", Need.SIGNED_IN, Need.SIGNED_IN),
    Rule("/api/settings", Need.OPERATE, Need.ADMINISTER, "Secrets only as being there or not."),
    Rule("/api/doctor", Need.OPERATE, Need.ADMINISTER),
    Rule("/api/session", Need.SIGNED_IN, Need.SIGNED_IN, "Who is signed in; signing out."),
    Rule("/api/session/methods", Need.OPEN, Need.OPEN, "How one can sign in here."),
    Rule("/api/session/oidc", Need.OPEN, Need.OPEN, "Signing in by OpenID Connect."),
)
# A method of one path that needs something else than the rest of it.
EXCEPTIONS: Final = {
    ("POST", "/api/session"): Need.OPEN,  # signing in
    # Deleting a provider takes its secret along.
    ("DELETE", "/api/providers/{name}"): Need.ADMINISTER,
}
# What is served outside of the table: pages, which hold nothing of anybody's,
PAGES: Final = frozenset({"/", "/admin", "/robots.txt"})
# and, with all below them, more pages and files, the demo model, and Dify's tracing, which has
# secrets of its own.
UNGUARDED: Final = (
    *("/assets", "/console", "/dify-test", "/docs", "/openapi.json", "/token-dashboard"),
    *("/internal/demo/v1", "/api/public"),
)

_LOOKING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_ROLES: Final = {
    Need.READ: frozenset({Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
    Need.OPERATE: frozenset({Role.OPERATOR, Role.ADMIN}),
    Need.ADMINISTER: frozenset({Role.ADMIN}),
}


def changes_something(method: str) -> bool:
    return method not in _LOOKING


def need_of(method: str, path: str) -> Need | None:
    """What a route needs, by its path as it is declared. None: nobody has decided that yet."""
    exception = EXCEPTIONS.get((method, path))
    if exception is not None:
        return exception
    covering = [rule for rule in RULES if path == rule.path or path.startswith(rule.path + "/")]
    if not covering:
        return None
    rule = max(covering, key=lambda one: len(one.path))
    return rule.change if changes_something(method) else rule.read


def may(caller: Caller, need: Need | None) -> bool:
    """Whether this caller meets that need; what nobody has decided is for the admin token only."""
    if caller.kind is Kind.ADMIN_TOKEN or need in (Need.OPEN, Need.OWN):
        return True
    if need is Need.SELF:
        return caller.kind in (Kind.SESSION, Kind.KEY)
    if caller.kind is not Kind.SESSION or need is None:
        return False
    return need is Need.SIGNED_IN or caller.role in _ROLES[need]
