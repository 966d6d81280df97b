"""A logger that loads what it needs when it first has something to say.

The supervisor is silent for months; structlog and asyncio, which it loads, would be a fifth of its
memory.
"""

from typing import Any


class LateLogger:
    """Takes an event and its fields, like structlog's; lines below the level cost nothing."""

    def __init__(self, role: str, level: str, form: str) -> None:
        self._role = role
        self._logger: Any = None
        self.set_up(level, form)

    def __repr__(self) -> str:
        return f"<LateLogger {self._role} {self._level}>"

    def set_up(self, level: str, form: str) -> None:
        """Level and form, also for the lines that come after a change of the settings."""
        self._level, self._form = level, form
        self._logger = None

    def debug(self, event: str, **fields: Any) -> None:
        if self._level == "debug":
            self._ready().debug(event, **fields)

    def info(self, event: str, **fields: Any) -> None:
        if self._level in ("debug", "info"):
            self._ready().info(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._ready().warning(event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        self._ready().error(event, **fields)

    def _ready(self) -> Any:
        if self._logger is None:
            from tallygate.telemetry.logs import logger, set_up_logs

            set_up_logs(self._level, self._form)
            self._logger = logger(self._role)
        return self._logger
