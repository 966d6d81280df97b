"""When money will be used up if it goes on like this. Guesses: floats will do."""

DAYS_MAX = 3650  # whatever lasts ten years lasts


def days_left(left_micros: int, spent_micros: int, over_s: int) -> float | None:
    """Days until nothing is left, by what was spent over some time; None: no end in sight."""
    if left_micros <= 0:
        return 0.0
    if spent_micros <= 0 or over_s <= 0:
        return None
    days = left_micros * over_s / spent_micros / 86_400
    return round(days, 1) if days <= DAYS_MAX else None
