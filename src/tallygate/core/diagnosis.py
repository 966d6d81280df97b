"""What `doctor` may find: each by a code that stays, with what it is said of, and said in English.

core/diagnosis_wording.py says it in Chinese.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Values = Mapping[str, str | int]


class Found(enum.StrEnum):
    """For programs."""

    DATA_FOLDER = "data_folder"
    DATA_FOLDER_READ_ONLY = "data_folder_read_only"
    STORE_CURRENT = "store_current"
    STORE_DAMAGED = "store_damaged"
    STORE_UNUSABLE = "store_unusable"
    CLOCK_RIGHT = "clock_right"
    CLOCK_OFF = "clock_off"
    USAGE_OPEN = "usage_open"
    USAGE_SECRET_SHORT = "usage_secret_short"  # noqa: S105 - a name, not a secret
    USAGE_REPORTED = "usage_reported"
    USAGE_REFUSED = "usage_refused"
    EDGE_SECRET_SHORT = "edge_secret_short"  # noqa: S105 - a name, not a secret
    EDGE_WITHHELD = "edge_withheld"
    EDGE_PUBLISHED = "edge_published"
    EDGE_FAILING = "edge_failing"
    EDGE_OVER_QUOTA = "edge_over_quota"
    MASTER_KEY_WRONG = "master_key_wrong"
    MASTER_KEY_THERE = "master_key_there"
    MASTER_KEY_TO_COME = "master_key_to_come"
    PROVIDERS_ACTIVE = "providers_active"
    PROVIDERS_DEMO = "providers_demo"
    PROVIDERS_NONE = "providers_none"
    PROVIDERS_IN_CLEAR = "providers_in_clear"
    PROVIDER_SHUT = "provider_shut"
    ADMIN_TOKEN_GOOD = "admin_token_good"  # noqa: S105 - a name, not a secret
    ADMIN_TOKEN_SHORT = "admin_token_short"  # noqa: S105 - a name, not a secret
    ADMIN_TOKEN_TO_COME = "admin_token_to_come"  # noqa: S105 - a name, not a secret
    FILE_OPEN = "file_open"
    FILES_PRIVATE = "files_private"
    JOURNALS_READ = "journals_read"
    JOURNALS_UNREADABLE = "journals_unreadable"
    SERVER_RUNNING = "server_running"
    SERVER_STOPPED = "server_stopped"


OK, WARN, FAIL = "ok", "warn", "fail"

# Of what it speaks, how bad it is, and what is said.
_SAID: Final[dict[Found, tuple[str, str, str]]] = {
    Found.DATA_FOLDER: ("settings", OK, "data in {path}"),
    Found.DATA_FOLDER_READ_ONLY: ("data folder", FAIL, "{path} can not be written"),
    Found.STORE_CURRENT: ("store", OK, "{name}, schema is current"),
    Found.STORE_DAMAGED: ("store", FAIL, "{problem}: run `tallygate db repair`"),
    Found.STORE_UNUSABLE: ("store", FAIL, "{reason}"),
    Found.CLOCK_RIGHT: ("clock", OK, "within {ms} ms of the store's"),
    Found.CLOCK_OFF: (
        "clock",
        WARN,
        "the store's clock is {ms} ms off this machine's: set up NTP",
    ),
    Found.USAGE_OPEN: (
        "usage log",
        WARN,
        "TALLYGATE_USAGE_OPEN lets anybody report uses: set TALLYGATE_USAGE_ALLOW, too",
    ),
    Found.USAGE_SECRET_SHORT: (
        "usage log",
        WARN,
        "the secret has {length} characters: {least} can not be guessed",
    ),
    Found.USAGE_REPORTED: (
        "usage log",
        OK,
        "since yesterday {logged} uses, {refused} reports refused",
    ),
    Found.USAGE_REFUSED: (
        "usage log",
        WARN,
        "since yesterday {logged} uses, {refused} reports refused: GET /api/usage/reports says why",
    ),
    Found.EDGE_SECRET_SHORT: (
        "edge",
        WARN,
        "its secret has {length} characters: {least} can not be guessed",
    ),
    Found.EDGE_WITHHELD: ("edge", WARN, "{route} is not there: {reason}"),
    Found.EDGE_PUBLISHED: ("edge", OK, "{state}: {entries} entries, {waiting} wait"),
    Found.EDGE_FAILING: ("edge", WARN, "{state}: {entries} entries, {waiting} wait; {error}"),
    Found.EDGE_OVER_QUOTA: ("edge", WARN, "{state}: {entries} entries, {waiting} wait"),
    Found.MASTER_KEY_WRONG: ("master key", FAIL, "{reason}"),
    Found.MASTER_KEY_THERE: (
        "master key",
        OK,
        "in {path}; keep a copy elsewhere, backups do not hold it",
    ),
    Found.MASTER_KEY_TO_COME: ("master key", WARN, "none yet: made at the first start"),
    Found.PROVIDERS_ACTIVE: ("providers", OK, "{names}"),
    Found.PROVIDERS_DEMO: (
        "providers",
        WARN,
        "none configured: the demo model {model} answers by repeating what it was told; set "
        "DEEPSEEK_API_KEY or POST /api/providers",
    ),
    Found.PROVIDERS_NONE: ("providers", FAIL, "none is active: nothing can be forwarded"),
    Found.PROVIDERS_IN_CLEAR: ("providers", WARN, "{names}: http:// sends keys in clear"),
    Found.PROVIDER_SHUT: (
        "providers",
        FAIL,
        "{name}: the master key does not open its secret, so it is left out: bring the old key "
        "back or PATCH /api/providers/{name} with the secret",
    ),
    Found.ADMIN_TOKEN_GOOD: ("admin token", OK, "{length} characters"),
    Found.ADMIN_TOKEN_SHORT: (
        "admin token",
        WARN,
        "{length} characters: {least} or more can not be guessed",
    ),
    Found.ADMIN_TOKEN_TO_COME: ("admin token", OK, "none yet: made at the first start"),
    Found.FILE_OPEN: ("permissions", FAIL, "others can read {path}: chmod 600 {path}"),
    Found.FILES_PRIVATE: ("permissions", OK, "secrets are readable by their owner only"),
    Found.JOURNALS_READ: ("journals", OK, "{entries} entries"),
    Found.JOURNALS_UNREADABLE: (
        "journals",
        FAIL,
        "{places} places can not be read: `tallygate journal verify` names them",
    ),
    Found.SERVER_RUNNING: ("server", OK, "running"),
    Found.SERVER_STOPPED: ("server", OK, "not running"),
}
SUBJECTS: Final = tuple(dict.fromkeys(subject for subject, _, _ in _SAID.values()))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `ok`, `warn` (works but should not stay so) or `fail`."""

    found: Found
    values: Values = field(default_factory=dict)

    @property
    def subject(self) -> str:
        return _SAID[self.found][0]

    @property
    def verdict(self) -> str:
        return _SAID[self.found][1]

    @property
    def text(self) -> str:
        return _SAID[self.found][2].format(**self.values)


def found(code: Found, **values: str | int) -> Finding:
    return Finding(code, values)
