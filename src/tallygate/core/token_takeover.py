"""What the seed's token manager kept, as an import hands it to the clerk."""

import msgspec

from tallygate.core.commands import Arguments
from tallygate.core.takeover import Report


class OldTeam(msgspec.Struct, frozen=True):
    id: str
    name: str
    created_ms: int


class OldToken(msgspec.Struct, frozen=True):
    """A token, known by its SHA-256 only; it goes on working as it is."""

    token_hash: str
    name: str
    team_id: str
    scopes: list[str]
    is_active: bool
    created_ms: int
    expires_ms: int | None
    last_used_ms: int | None

    def __repr__(self) -> str:
        return f"<OldToken {self.name!r}>"


class OldRoute(msgspec.Struct, frozen=True):
    path: str
    backend_url: str
    scope: str
    methods: list[str]
    host: str
    strip_prefix: bool
    is_active: bool

    def __repr__(self) -> str:
        return f"<OldRoute {self.path}>"


class OldUse(msgspec.Struct, frozen=True, array_like=True):
    """A row of `token_usage_logs`; `id` is its own number there."""

    id: int
    token_hash: str
    route: str
    at_ms: int
    address: str
    agent: str
    status: int
    duration_ms: int


class ImportTokens(Arguments):
    """Take over a part of it. `origin` names the old database; uses come by rising number.

    → TokenReport.
    """

    NAME = "import.token_manager"
    origin: str
    teams: list[OldTeam] = msgspec.field(default_factory=list)
    tokens: list[OldToken] = msgspec.field(default_factory=list)
    routes: list[OldRoute] = msgspec.field(default_factory=list)
    uses: list[OldUse] = msgspec.field(default_factory=list)
    is_dry_run: bool = False


class TokenReport(Report, kw_only=True):
    """`keys` are tokens, `requests` their uses; `known` is what earlier imports took."""

    teams: int = 0
    routes: int = 0

    def add(self, other: Report) -> None:
        super().add(other)
        if isinstance(other, TokenReport):
            self.teams += other.teams
            self.routes += other.routes
