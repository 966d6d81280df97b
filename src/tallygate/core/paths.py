"""Paths: which ones are the product's own, and which ones two servers might read differently.

An own path is never a route's, unless the route has a host to itself: a private service must not
be able to take the place of the console or of the API.
"""

import re

# Under `/api` everything but these is free for routes, as `/api/test` in the token manager's guide.
OWN_APIS = frozenset(
    {
        *("alerts", "anomalies", "audit", "auth", "backup", "budgets", "charges", "consumption"),
        *("credentials", "dead-letters", "dify", "doctor", "edge", "events", "exchange-rate"),
        *("grants", "holds", "imports", "keeper", "keys", "ledger", "limits", "live", "models"),
        *("nodes", "notices", "oidc", "overview", "prices", "providers", "public", "redeem"),
        *("redeem-batches", "redeem-codes", "refunds", "review", "routes", "session", "sessions"),
        *("settings", "teams", "tokens", "unpaid", "usage", "usage-log", "user", "users"),
        *("wallets", "webhooks"),
    }
)
OWN = frozenset(
    {
        *("admin", "assets", "console", "dify", "dify-test", "docs", "favicon.ico", "healthz"),
        *("internal", "metrics", "openapi.json", "readyz", "robots.txt", "sdk", "token-dashboard"),
        "v1",
    }
)

# Empty and dot-segments, encoded separators, and encoded letters and digits: a server behind us
# would decode them to a path that we have not matched (RFC 3986, 6.2.2.2).
AMBIGUOUS = (
    r"//|/\.\.?(?:/|\Z)|%(?:00|2[dDeEfF]|3[0-9]|4[1-9a-fA-F]|5[0-9aAcCfF]|6[1-9a-fA-F]|7[0-9aA])"
)
_AMBIGUOUS = re.compile(AMBIGUOUS)


def is_own(path: str) -> bool:
    """Whether a path is answered by Tallygate itself. Whoever decodes it reads the same."""
    first, _, rest = path[1:].partition("/")
    if first == "api":
        second = rest.partition("/")[0]
        return second in OWN_APIS
    return not first or first in OWN


def is_ambiguous(path: str) -> bool:
    return _AMBIGUOUS.search(path) is not None
