"""What `doctor` finds, in Chinese; whatever has no words here stays as it was written."""

from typing import Final

from tallygate.core.accounts import SIMPLIFIED, TRADITIONAL
from tallygate.core.diagnosis import Found, Values
from tallygate.core.edge import HEADERS, POOLED, SHUT
from tallygate.core.edge_commands import CURRENT, FAILING, OFF, OVER_QUOTA, WAITING

_COLUMNS: Final = {SIMPLIFIED: 0, TRADITIONAL: 1}
SUBJECTS: Final = {
    "settings": ("设置", "設定"),
    "data folder": ("数据目录", "資料目錄"),
    "store": ("存储", "儲存庫"),
    "clock": ("时钟", "時鐘"),
    "usage log": ("用量上报", "用量回報"),
    "edge": ("边缘", "邊緣"),
    "master key": ("主密钥", "主金鑰"),
    "providers": ("服务商", "供應商"),
    "admin token": ("管理令牌", "管理權杖"),
    "permissions": ("文件权限", "檔案權限"),
    "journals": ("流水文件", "流水檔"),
    "server": ("服务器", "伺服器"),
}
TEXTS: Final[dict[str, tuple[str, str]]] = {
    Found.DATA_FOLDER: ("数据位于 {path}", "資料位於 {path}"),
    Found.DATA_FOLDER_READ_ONLY: ("无法写入 {path}", "無法寫入 {path}"),
    Found.STORE_CURRENT: ("{name}，结构为最新版本", "{name}，結構為最新版本"),
    Found.STORE_DAMAGED: (
        "{problem}：请运行 `tallygate db repair`",
        "{problem}：請執行 `tallygate db repair`",
    ),
    Found.STORE_UNUSABLE: ("无法使用：{reason}", "無法使用：{reason}"),
    Found.CLOCK_RIGHT: ("与存储的时钟相差不超过 {ms} 毫秒", "與儲存庫的時鐘相差不超過 {ms} 毫秒"),
    Found.CLOCK_OFF: (
        "存储的时钟与本机相差 {ms} 毫秒：请设置 NTP",
        "儲存庫的時鐘與本機相差 {ms} 毫秒：請設定 NTP",
    ),
    Found.USAGE_OPEN: (
        "TALLYGATE_USAGE_OPEN 允许任何人上报用量：请同时设置 TALLYGATE_USAGE_ALLOW",
        "TALLYGATE_USAGE_OPEN 允許任何人回報用量：請同時設定 TALLYGATE_USAGE_ALLOW",
    ),
    Found.USAGE_SECRET_SHORT: (
        "密钥只有 {length} 个字符：{least} 个才无法被猜中",
        "密鑰只有 {length} 個字元：{least} 個才無法被猜中",
    ),
    Found.USAGE_REPORTED: (
        "自昨天起记录 {logged} 次使用，拒绝 {refused} 份上报",
        "自昨天起記錄 {logged} 次使用，拒絕 {refused} 份回報",
    ),
    Found.USAGE_REFUSED: (
        "自昨天起记录 {logged} 次使用，拒绝 {refused} 份上报：GET /api/usage/reports 会说明原因",
        "自昨天起記錄 {logged} 次使用，拒絕 {refused} 份回報：GET /api/usage/reports 會說明原因",
    ),
    Found.EDGE_SECRET_SHORT: (
        "密钥只有 {length} 个字符：{least} 个才无法被猜中",
        "密鑰只有 {length} 個字元：{least} 個才無法被猜中",
    ),
    Found.EDGE_WITHHELD: ("{route} 未发布：{reason}", "{route} 未發布：{reason}"),
    Found.EDGE_PUBLISHED: (
        "{state}：共 {entries} 项，{waiting} 项等待发布",
        "{state}：共 {entries} 項，{waiting} 項等待發布",
    ),
    Found.EDGE_FAILING: (
        "{state}：共 {entries} 项，{waiting} 项等待发布；{error}",
        "{state}：共 {entries} 項，{waiting} 項等待發布；{error}",
    ),
    Found.EDGE_OVER_QUOTA: (
        "{state}：共 {entries} 项，{waiting} 项等待发布",
        "{state}：共 {entries} 項，{waiting} 項等待發布",
    ),
    Found.MASTER_KEY_WRONG: ("无法使用：{reason}", "無法使用：{reason}"),
    Found.MASTER_KEY_THERE: (
        "位于 {path}；请另存一份，备份中不包含它",
        "位於 {path}；請另存一份，備份中不包含它",
    ),
    Found.MASTER_KEY_TO_COME: ("尚无：首次启动时生成", "尚無：首次啟動時產生"),
    Found.PROVIDERS_ACTIVE: ("{names}", "{names}"),
    Found.PROVIDERS_DEMO: (
        "尚未配置：演示模型 {model} 会原样重复收到的内容；请设置 DEEPSEEK_API_KEY 或添加服务商",
        "尚未設定：示範模型 {model} 會原樣重複收到的內容；請設定 DEEPSEEK_API_KEY 或新增供應商",
    ),
    Found.PROVIDERS_NONE: (
        "没有启用的服务商：无法转发任何请求",
        "沒有啟用的供應商：無法轉送任何請求",
    ),
    Found.PROVIDERS_IN_CLEAR: (
        "{names}：http:// 会以明文发送密钥",
        "{names}：http:// 會以明文傳送密鑰",
    ),
    Found.PROVIDER_SHUT: (
        "{name}：主密钥无法解开它的密钥，因此未启用：请恢复旧的主密钥，或为该服务商重新填写密钥",
        "{name}：主金鑰無法解開它的密鑰，因此未啟用：請還原舊的主金鑰，或為該供應商重新填寫密鑰",
    ),
    Found.ADMIN_TOKEN_GOOD: ("{length} 个字符", "{length} 個字元"),
    Found.ADMIN_TOKEN_SHORT: (
        "只有 {length} 个字符：{least} 个以上才无法被猜中",
        "只有 {length} 個字元：{least} 個以上才無法被猜中",
    ),
    Found.ADMIN_TOKEN_TO_COME: ("尚无：首次启动时生成", "尚無：首次啟動時產生"),
    Found.FILE_OPEN: (
        "其他用户可以读取 {path}：请运行 chmod 600 {path}",
        "其他使用者可以讀取 {path}：請執行 chmod 600 {path}",
    ),
    Found.FILES_PRIVATE: ("机密文件仅所有者可读", "機密檔案僅擁有者可讀"),
    Found.JOURNALS_READ: ("{entries} 条记录", "{entries} 筆記錄"),
    Found.JOURNALS_UNREADABLE: (
        "有 {places} 处无法读取：`tallygate journal verify` 会逐一列出",
        "有 {places} 處無法讀取：`tallygate journal verify` 會逐一列出",
    ),
    Found.SERVER_RUNNING: ("运行中", "執行中"),
    Found.SERVER_STOPPED: ("未运行", "未執行"),
}
_STATES: Final[dict[object, tuple[str, str]]] = {
    OFF: ("未启用", "未啟用"),
    CURRENT: ("已同步", "已同步"),
    WAITING: ("等待发布", "等待發布"),
    FAILING: ("发布失败", "發布失敗"),
    OVER_QUOTA: ("超出配额", "超出配額"),
}
# Why the edge does not serve a route.
_REASONS: Final[dict[object, tuple[str, str]]] = {
    HEADERS: (
        "它的标头需要设置 TALLYGATE_EDGE_SECRET",
        "它的標頭需要設定 TALLYGATE_EDGE_SECRET",
    ),
    SHUT: ("主密钥无法解开它的标头", "主金鑰無法解開它的標頭"),
    POOLED: ("它使用凭证池中的凭证，只有网关拥有", "它使用憑證池中的憑證，只有閘道擁有"),
}


def worded(code: str, values: Values, language: str) -> str | None:
    """None: as it was written."""
    column = _COLUMNS.get(language)
    if column is None or code not in TEXTS:
        return None
    said = dict(values)
    if (state := _STATES.get(said.get("state"))) is not None:
        said["state"] = state[column]
    if (reason := _REASONS.get(said.get("reason"))) is not None:
        said["reason"] = reason[column]
    try:
        return TEXTS[code][column].format(**said)
    except KeyError:  # another release found it
        return None


def withheld_for(reason: str, language: str) -> str:
    """Why the edge does not serve a route."""
    column = _COLUMNS.get(language)
    return reason if column is None or reason not in _REASONS else _REASONS[reason][column]


def subject_of(subject: str, language: str) -> str:
    column = _COLUMNS.get(language)
    return subject if column is None or subject not in SUBJECTS else SUBJECTS[subject][column]
