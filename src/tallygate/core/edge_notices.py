"""When the edge's publisher has something to say, and what it says."""

from typing import Final

from tallygate.core.budget import NewNotice

FAILING: Final = "edge.failing"
OVER_QUOTA: Final = "edge.over_quota"

FAILING_MS: Final = 60_000


def is_failing(failing_ms: int, now_ms: int) -> bool:
    """For long enough that somebody should hear of it."""
    return failing_ms > 0 and now_ms - failing_ms >= FAILING_MS


def failing(error: str, waiting: int, revocations: int) -> NewNotice:
    return NewNotice(
        kind=FAILING,
        account_id=None,
        title=f"The edge cannot be published to: {error}",
        body=f"{waiting} changes wait, {revocations} of which may revoke a token that the edge "
        f"still lets through. Cloudflare's answer: {error}.",
        data={"error": error, "waiting": waiting, "revocations": revocations},
    )


def over_quota(per_day: int, left: int) -> NewNotice:
    return NewNotice(
        kind=OVER_QUOTA,
        account_id=None,
        title=f"The edge's {per_day} writes of today are used up",
        body=f"{left} changes wait for tomorrow (UTC). A larger plan at Cloudflare takes more: "
        "then raise TALLYGATE_EDGE_WRITES_PER_DAY.",
        data={"per_day": per_day, "left": left},
    )
