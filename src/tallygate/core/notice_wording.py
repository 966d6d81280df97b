"""What the owner of an account is told of their own money, in their own language.

These are worded anew from a notice's data; core/operator_wording.py does so for operators.
"""

from typing import Final

import msgspec

from tallygate.core.accounts import ENGLISH, SIMPLIFIED, TRADITIONAL
from tallygate.core.budget import BUDGET_REACHED, LOW_BALANCE
from tallygate.core.money import format_points

_COLUMNS: Final = {ENGLISH: 0, SIMPLIFIED: 1, TRADITIONAL: 2}
_TITLES: Final = {
    LOW_BALANCE: (
        "Your balance is low: {balance} points",
        "余额不足提醒：剩余 {balance} 点",
        "餘額不足提醒：剩餘 {balance} 點",
    ),
    BUDGET_REACHED: (
        "{percent} % of your budget is spent",
        "您的预算已使用 {percent}%",
        "您的預算已使用 {percent}%",
    ),
}
_BODIES: Final = {
    LOW_BALANCE: (
        "Your balance fell below {warn_below} points; it is {balance} points now.",
        "您的余额已低于 {warn_below} 点，目前为 {balance} 点。",
        "您的餘額已低於 {warn_below} 點，目前為 {balance} 點。",
    ),
    BUDGET_REACHED: (
        "You have spent {spent} of {amount} points {span}.",
        "{span}已使用 {spent} 点，预算为 {amount} 点。",
        "{span}已使用 {spent} 點，預算為 {amount} 點。",
    ),
}
_SPANS: Final = {
    "minute": ("this minute", "本分钟", "本分鐘"),
    "hour": ("this hour", "本小时", "本小時"),
    "day": ("today", "今天", "今天"),
    "month": ("this month", "本月", "本月"),
    "total": ("in total", "总计", "總計"),
}
KINDS: Final = tuple(_TITLES)


def worded(kind: str, data: str, language: str) -> tuple[str, str] | None:
    """Title and text; None of what is no business of an account's owner."""
    if kind not in _TITLES:
        return None
    column = _COLUMNS.get(language, 0)
    told = msgspec.json.decode(data, type=dict[str, object])
    values: dict[str, object] = {"percent": told.get("percent")}
    for name, value in told.items():
        if name.endswith("_micros") and isinstance(value, int):
            values[name.removesuffix("_micros")] = format_points(value)
    if isinstance(span := told.get("span"), str):
        values["span"] = _SPANS[span][column]
    return _TITLES[kind][column].format(**values), _BODIES[kind][column].format(**values)
