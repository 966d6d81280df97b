"""What the keeper says, in English and in Chinese; the Chinese is the old refresher's own.

A name or a user comes from outside: what could end a line or move a terminal's cursor is left out.
"""

from typing import Final

ENGLISH: Final = "en"
CHINESE: Final = "zh"
RULE: Final = "=" * 60
LINE: Final = "-" * 60
BAOMING: Final = "baoming"

_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "begin": ("🚀 Refreshing upstream credentials", "🚀 开始刷新上游凭证 Token"),
    "begin_baoming": ("🚀 Refreshing upstream credentials", "🚀 开始刷新报名工具 Token"),
    "found": ("📊 {count} credentials to refresh", "📊 找到 {count} 个 Token 需要刷新"),
    "joined": (
        "▶️ Going on with a run that is not finished; what it has checked is not checked again",
        "▶️ 接续未完成的刷新，已检查过的不再重复检查",
    ),
    "head": ("[{number}/{total}] Name: {name}", "[{number}/{total}] 名片: {name}"),
    "user": ("  User: {user}", "  用户: {user}"),
    "used": ("  Last used: {when}", "  最后使用: {when}"),
    "never": ("never", "从未使用"),
    "valid": ("  ✅ Valid, last use updated", "  ✅ Token 有效，已更新使用时间"),
    "renewed": (
        "  ✅ Valid, renewed, last use updated",
        "  ✅ Token 有效，已换发新 Token 并更新使用时间",
    ),
    "invalid": ("  ⚠️ No longer valid: {reason}", "  ⚠️ Token 已失效: {reason}"),
    "deleted": ("  🗑️ Deleted", "  🗑️ 已删除失效 Token"),
    "quarantined": (
        "  🔒 Quarantined; it is deleted in {days} days unless it is restored",
        "  🔒 已隔离，{days} 天后删除（可恢复）",
    ),
    "failed": ("  ❌ Not checked: {reason}", "  ❌ 刷新失败: {reason}"),
    "skipped": ("  ⏭️ Skipped: {reason}", "  ⏭️ 跳过: {reason}"),
    "gone": ("it is no longer in use", "已不再使用"),
    "done": ("another run has just checked it", "另一个任务刚刚检查过"),
    "interrupted": (
        "its check was broken off; the next run has it",
        "上次检查被中断，下一轮再检查",
    ),
    "attempt": ("  · {text}", "  · {text}"),
    "stats": ("📊 Refresh statistics:", "📊 刷新统计:"),
    "total": ("  📝 Total: {count}", "  📝 总计: {count} 个"),
    "refreshed": ("  ✅ Refreshed: {count}", "  ✅ 成功: {count} 个"),
    "failures": ("  ❌ Failed: {count}", "  ❌ 失败: {count} 个"),
    "deletions": ("  🗑️ Deleted: {count}", "  🗑️ 删除: {count} 个"),
    "quarantines": ("  🔒 Quarantined: {count}", "  🔒 隔离: {count} 个"),
    "skips": ("  ⏭️ Skipped: {count}", "  ⏭️ 跳过: {count} 个"),
    "buried": (
        "🗑️ Deleted after its time in quarantine: {name}",
        "🗑️ 隔离期满，已删除失效 Token: {name}",
    ),
    "cleaning": (
        "🧹 Cleaning up credentials unused for {days} days",
        "🧹 开始清理 {days} 天未使用的 Token",
    ),
    "cleaned": ("🗑️ Cleaned up: {count}", "🗑️ 已清理: {count} 个"),
    "would_clean": ("🔍 Would be cleaned up: {count}", "🔍 将被清理（试运行）: {count} 个"),
    "one_cleaned": ("  🗑️ {name}", "  🗑️ {name}"),
    "would_refresh": ("  🔍 Would be checked", "  🔍 将被检查（试运行）"),
    "scheduler": (
        "⏰ Scheduler started: every {hours} hours",
        "⏰ 定时器已启动: 每 {hours} 小时刷新一次",
    ),
    "next": ("⏰ Next run: {when}", "⏰ 下次刷新: {when}"),
    "stopped": ("⏹️ Scheduler stopped", "⏹️ 定时器已停止"),
    "run_failed": ("❌ The run failed: {reason}", "❌ 本轮刷新失败: {reason}"),
    "alert": (
        "🚨 {failed} of {total} could not be checked: more than 20 %",
        "🚨 失败率超过 20%: {failed}/{total}",
    ),
}


class Wording:
    def __init__(self, language: str) -> None:
        self._column = 1 if language == CHINESE else 0

    def text(self, key: str, **values: object) -> str:
        shown = {name: printable(str(value)) for name, value in values.items()}
        return _TEXTS[key][self._column].format(**shown)


def printable(text: str) -> str:
    return "".join(part if part.isprintable() else " " for part in text)


def language_of(wanted: str, locale: str) -> str:
    """`auto` follows LC_ALL, LC_MESSAGES or LANG."""
    if wanted != "auto":
        return wanted
    return CHINESE if locale.lower().startswith(CHINESE) else ENGLISH
