"""What operators are told of anomalies, in Chinese: titles and sentences, and what stands in them.

core/operator_wording.py fills them in; by a kind and what was seen, for a kind may be seen in two
ways.
"""

from typing import Final

from tallygate.core.anomalies import NAMELESS, Kind, Throttle, What, plain

Said = tuple[str, str]  # title and text
PREFIX: Final = "anomaly."


def name_of(kind: str, what: object) -> str:
    return f"{kind} {what}"


def _name(kind: Kind, what: What) -> str:
    return name_of(f"{PREFIX}{kind.value}", what.value)


TEXTS: Final[dict[str, tuple[Said, Said]]] = {
    _name(Kind.VOLUME, What.USES): (
        ("{whose}的用量远超平时", "一小时内使用了 {seen} 次；平时约 {expected} 次。{done}"),
        ("{whose}的用量遠超平時", "一小時內使用了 {seen} 次；平時約 {expected} 次。{done}"),
    ),
    _name(Kind.ERRORS, What.FAILED_USES): (
        ("{whose}的失败远多于平时", "一小时内失败了 {seen} 次；平时约 {expected} 次。{done}"),
        ("{whose}的失敗遠多於平時", "一小時內失敗了 {seen} 次；平時約 {expected} 次。{done}"),
    ),
    _name(Kind.SOURCE, What.NETWORK): (
        ("{whose}被陌生来源使用", "出现了该密钥从未用过的网络：{source}。平时：{usual}。{done}"),
        ("{whose}被陌生來源使用", "出現了該金鑰從未用過的網路：{source}。平時：{usual}。{done}"),
    ),
    _name(Kind.SOURCE, What.AGENT): (
        ("{whose}被陌生来源使用", "出现了该密钥从未用过的客户端：{source}。平时：{usual}。{done}"),
        ("{whose}被陌生來源使用", "出現了該金鑰從未用過的用戶端：{source}。平時：{usual}。{done}"),
    ),
    _name(Kind.DORMANT, What.USED_AGAIN): (
        ("{whose}在长期沉寂后被使用", "它已有 {quiet_days} 天未被使用，现在又被使用了。{done}"),
        ("{whose}在長期沉寂後被使用", "它已有 {quiet_days} 天未被使用，現在又被使用了。{done}"),
    ),
    _name(Kind.DORMANT, What.FIRST_USE): (
        ("{whose}在长期沉寂后被使用", "它闲置了 {quiet_days} 天，现在第一次被使用。{done}"),
        ("{whose}在長期沉寂後被使用", "它閒置了 {quiet_days} 天，現在第一次被使用。{done}"),
    ),
}
_LABELLED: Final = ("{label}（密钥 {id}）", "{label}（金鑰 {id}）")
_NUMBERED: Final = ("密钥 {id} ", "金鑰 {id} ")
_NOTHING: Final = ("无", "無")
_DONE: Final[dict[str, Said]] = {
    Throttle.OFF: ("", ""),
    Throttle.SLOW: ("在确认之前，该密钥已被限速。", "在確認之前，該金鑰已被限速。"),
    Throttle.STOP: ("在确认之前，该密钥已被停用。", "在確認之前，該金鑰已被停用。"),
}


def values(told: dict[str, object], column: int) -> dict[str, object]:
    """What the texts name. A KeyError: an older release wrote it."""
    label, key_id = told["key_label"], told["key_id"]
    whose = _LABELLED if label else _NUMBERED
    nothing = _NOTHING[column]
    return {
        "whose": whose[column].format(label=label, id=key_id),
        "done": _DONE.get(str(told["throttle"]), _DONE[Throttle.OFF])[column],
        "source": _named(told.get("sources"), nothing)[0],
        "usual": "、".join(_named(told.get("usual_sources"), nothing)),
        **{name: plain(value) for name, value in told.items() if isinstance(value, float | int)},
    }


def _named(sources: object, nothing: str) -> list[str]:
    found = map(str, sources) if isinstance(sources, list) else ()
    return [nothing if one == NAMELESS else one for one in found] or [nothing]
