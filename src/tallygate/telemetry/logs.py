"""Logs: one line per event on stderr, for people at a terminal, as JSON everywhere else.

What is secret is known by its type and never rendered: whatever hides a secret value, and all raw
bytes, because keys and tokens are bytes here. Tracebacks show code, never the values of variables.
"""

import contextlib
import logging
import sys
from collections.abc import MutableMapping
from typing import Any

from tallygate.telemetry.lean import structlog

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

Event = MutableMapping[str, Any]


class Forgiving:
    """A stream whose failures end in it: a full disk or a closed pipe under the log must not fail
    the request that is being logged. What could not be written is lost."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        return bool(self._stream.isatty())


def set_up_logs(level: str, form: str, *, stream: Any = None) -> None:
    """Configure structlog, and other people's `logging` through it. `form`: auto, console, json."""
    target: Any = Forgiving(sys.stderr if stream is None else stream)
    is_console = form == "console" or (form == "auto" and target.isatty())
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        hide_secrets,
    ]
    after: list[Any] = _console(target) if is_console else _json()
    structlog.configure(
        processors=[*before, *after],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,  # a rolling restart may change the level
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *after],
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries log what they do at `info`; that is for whoever debugs them.
    root.setLevel(max(LEVELS[level], logging.WARNING) if level != "debug" else logging.INFO)


def logger(role: str) -> Any:  # structlog's loggers share no base class
    """A logger whose lines say which role they are from."""
    return structlog.get_logger(role=role)


def hide_secrets(_logger: Any, _method: str, event: Event) -> Event:
    """A processor: values that are secret by their type are replaced, wherever they are nested."""
    return {name: _hidden(value) for name, value in event.items()}


def _hidden(value: Any) -> Any:
    if hasattr(value, "get_secret_value"):
        return "[secret]"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, dict):
        return {name: _hidden(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden(inner) for inner in value]
    return value


def _json() -> list[Any]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
    ]


def _console(target: Any) -> list[Any]:
    return [
        structlog.dev.ConsoleRenderer(
            colors=target.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]
