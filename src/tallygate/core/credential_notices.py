"""When the keeper has something to say, and what it says."""

from collections.abc import Iterable
from typing import Final

from tallygate.core.budget import NewNotice

DIED: Final = "credential.died"
FAILING: Final = "keeper.failing"
IDLE: Final = "keeper.idle"
KINDS: Final = (DIED, FAILING, IDLE)

FAILURE_PERCENT: Final = 20
IDLE_MS: Final = 24 * 3_600_000
NAMES_SHOWN: Final = 10


def died(credential_id: int, kind: str, name: str, user: str, reason: str) -> NewNotice:
    return NewNotice(
        kind=DIED,
        account_id=None,
        title=f"Credential {name} ({kind}) is no longer valid",
        body=f"Its upstream refused credential {credential_id} ({name}): {reason}. It is not used "
        "any more; hand in a new secret, or restore it if the upstream was wrong.",
        data={
            "id": credential_id,
            "kind": kind,
            "name": name,
            "user": user,
            "reason": reason,
        },
    )


def is_failing(failed: int, total: int) -> bool:
    """More than a fifth of the checks of a run proved nothing."""
    return failed * 100 > total * FAILURE_PERCENT


def failing(failed: int, total: int, reasons: Iterable[str]) -> NewNotice:
    shown = sorted(set(reasons))[:NAMES_SHOWN]
    return NewNotice(
        kind=FAILING,
        account_id=None,
        title=f"{failed} of {total} credentials could not be checked",
        body=f"The last run of the keeper failed for {failed} of {total}: {'; '.join(shown)}.",
        data={"failed": failed, "total": total, "reasons": shown},
    )


def is_idle(latest_ms: int | None, oldest_ms: int, now_ms: int) -> bool:
    """Nothing ran for a day though there was something to look after (since `oldest_ms`)."""
    return now_ms - max(latest_ms or 0, oldest_ms) > IDLE_MS


def idle(latest_ms: int | None, now_ms: int) -> NewNotice:
    hours = None if latest_ms is None else (now_ms - latest_ms) // 3_600_000
    since = "has never run" if hours is None else f"has not run for {hours} hours"
    return NewNotice(
        kind=IDLE,
        account_id=None,
        title=f"The credential keeper {since}",
        body=f"The credential keeper {since}: credentials may expire unnoticed. Look at its cron "
        "job or timer, or let the server run it (TALLYGATE_KEEPER_INTERVAL_H).",
        data={"hours": hours},
    )
