"""What operators are told, in Chinese; in English a notice is as it was written.

Worded anew from a notice's data when it is sent or shown, so that each reader has their own
language. What is not listed here, or lacks what its text names, stays as it was written.
"""

from typing import Final

import msgspec

from tallygate.core import anomaly_wording, credential_notices, edge_notices
from tallygate.core.accounts import SIMPLIFIED, TRADITIONAL
from tallygate.core.budget import BUDGET_REACHED, LOW_BALANCE
from tallygate.core.money import format_points

Said = tuple[str, str]  # title and text

_NEVER_RAN: Final = f"{credential_notices.IDLE} never"
_COLUMNS: Final = {SIMPLIFIED: 0, TRADITIONAL: 1}
_TEXTS: Final[dict[str, tuple[Said, Said]]] = {
    **anomaly_wording.TEXTS,
    credential_notices.DIED: (
        (
            "凭证 {name}（{kind}）已失效",
            "上游拒绝了凭证 {id}（{name}）：{reason}。该凭证已停用；请提交新的密钥，"
            "若是上游误判，可将其恢复。",
        ),
        (
            "憑證 {name}（{kind}）已失效",
            "上游拒絕了憑證 {id}（{name}）：{reason}。該憑證已停用；請提交新的密鑰，"
            "若是上游誤判，可將其恢復。",
        ),
    ),
    credential_notices.FAILING: (
        (
            "{total} 个凭证中有 {failed} 个无法检查",
            "最近一轮刷新中，{total} 个凭证有 {failed} 个失败：{reasons}。",
        ),
        (
            "{total} 個憑證中有 {failed} 個無法檢查",
            "最近一輪刷新中，{total} 個憑證有 {failed} 個失敗：{reasons}。",
        ),
    ),
    credential_notices.IDLE: (
        (
            "凭证刷新已有 {hours} 小时未运行",
            "凭证刷新已有 {hours} 小时未运行，凭证可能在无人知晓时过期。请检查定时任务，"
            "或让服务器运行它（TALLYGATE_KEEPER_INTERVAL_H）。",
        ),
        (
            "憑證刷新已有 {hours} 小時未執行",
            "憑證刷新已有 {hours} 小時未執行，憑證可能在無人知曉時過期。請檢查排程，"
            "或讓伺服器執行它（TALLYGATE_KEEPER_INTERVAL_H）。",
        ),
    ),
    _NEVER_RAN: (
        (
            "凭证刷新从未运行",
            "凭证刷新从未运行，凭证可能在无人知晓时过期。请检查定时任务，"
            "或让服务器运行它（TALLYGATE_KEEPER_INTERVAL_H）。",
        ),
        (
            "憑證刷新從未執行",
            "憑證刷新從未執行，憑證可能在無人知曉時過期。請檢查排程，"
            "或讓伺服器執行它（TALLYGATE_KEEPER_INTERVAL_H）。",
        ),
    ),
    edge_notices.FAILING: (
        (
            "无法发布到边缘：{error}",
            "有 {waiting} 项更改在等待，其中 {revocations} 项可能是撤销边缘仍在放行的令牌。"
            "Cloudflare 的回答：{error}。",
        ),
        (
            "無法發布到邊緣：{error}",
            "有 {waiting} 項變更在等待，其中 {revocations} 項可能是撤銷邊緣仍在放行的權杖。"
            "Cloudflare 的回答：{error}。",
        ),
    ),
    edge_notices.OVER_QUOTA: (
        (
            "边缘今天的 {per_day} 次写入已用完",
            "有 {left} 项更改要等到明天（UTC）。Cloudflare 的更高套餐允许更多写入："
            "届时请调高 TALLYGATE_EDGE_WRITES_PER_DAY。",
        ),
        (
            "邊緣今天的 {per_day} 次寫入已用完",
            "有 {left} 項變更要等到明天（UTC）。Cloudflare 的更高方案允許更多寫入："
            "屆時請調高 TALLYGATE_EDGE_WRITES_PER_DAY。",
        ),
    ),
    LOW_BALANCE: (
        (
            "{user_id} 余额不足：剩余 {balance} 点",
            "{user_id} 的余额已低于 {warn_below} 点，目前为 {balance} 点。",
        ),
        (
            "{user_id} 餘額不足：剩餘 {balance} 點",
            "{user_id} 的餘額已低於 {warn_below} 點，目前為 {balance} 點。",
        ),
    ),
    BUDGET_REACHED: (
        (
            "{whose} 的预算已使用 {percent}%",
            "{whose} 已使用 {spent} 点，预算为 {amount} 点（{span}）。",
        ),
        (
            "{whose} 的預算已使用 {percent}%",
            "{whose} 已使用 {spent} 點，預算為 {amount} 點（{span}）。",
        ),
    ),
}
_SPANS: Final = {
    "minute": ("每分钟", "每分鐘"),
    "hour": ("每小时", "每小時"),
    "day": ("每天", "每天"),
    "month": ("每月", "每月"),
    "total": ("总计", "總計"),
}
_SUBJECTS: Final = {"user_id": ("用户", "使用者"), "team_id": ("团队", "團隊")}
# What follows a kind says in which of several ways it is told.
KINDS: Final = tuple(dict.fromkeys(name.split()[0] for name in _TEXTS))


def worded_for_operators(kind: str, data: str, language: str) -> Said | None:
    """Title and text; None: as it was written."""
    column = _COLUMNS.get(language)
    if column is None or kind not in KINDS:
        return None
    told = msgspec.json.decode(data, type=dict[str, object])
    try:
        title, body = _TEXTS[_name_of(kind, told)][column]
        values = _values(told, column)
        if kind.startswith(anomaly_wording.PREFIX):
            values |= anomaly_wording.values(told, column)
        return title.format(**values), body.format(**values)
    except KeyError:  # an older release wrote it
        return None


def _name_of(kind: str, told: dict[str, object]) -> str:
    if kind == credential_notices.IDLE and told.get("hours") is None:
        return _NEVER_RAN
    if kind.startswith(anomaly_wording.PREFIX):
        return anomaly_wording.name_of(kind, told["what"])
    return kind


def _values(told: dict[str, object], column: int) -> dict[str, object]:
    values = dict(told)
    for name, value in told.items():
        if name.endswith("_micros") and isinstance(value, int):
            values[name.removesuffix("_micros")] = format_points(value)
    if isinstance(reasons := told.get("reasons"), list):
        values["reasons"] = "；".join(map(str, reasons))
    if isinstance(span := told.get("span"), str) and span in _SPANS:
        values["span"] = _SPANS[span][column]
    for name, words in _SUBJECTS.items():
        if name in told:
            values["whose"] = f"{words[column]} {told[name]}"
    return values
