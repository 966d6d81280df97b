"""Points and moments on the command line."""

import datetime

from tallygate.cli.failures import USAGE, Fault
from tallygate.core.money import BadAmount, format_points, parse_points


def read(text: str) -> int:
    """Micro-points of what was typed."""
    try:
        return parse_points(text)
    except BadAmount as error:
        raise Fault(f"points: {error}", USAGE) from None


def shown(micros: int) -> str:
    return format_points(micros)


def moment_ms(moment: datetime.datetime | None) -> int | None:
    """A time that was typed without a zone is in UTC."""
    if moment is None:
        return None
    return int(moment.replace(tzinfo=datetime.UTC).timestamp() * 1000)
