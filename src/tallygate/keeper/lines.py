"""The keeper's log: `YYYY-MM-DD HH:MM:SS [LEVEL] text`, to a stream and, if wished, to a file.

The file is its owner's alone and is rotated; a line that a terminal cannot show in full is shown as
far as it can.
"""

import datetime
import io
import logging
import logging.handlers
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from tallygate.core.windows import zone_of

FILE_BYTES_MAX: Final = 5 << 20
FILES_KEPT: Final = 5


class Lines:
    """Close it when the last line is written."""

    def __init__(
        self,
        stream: TextIO | None,
        file: Path | None,
        *,
        zone: str,
        clock_ms: Callable[[], int],
        is_verbose: bool,
    ) -> None:
        self._zone = zone_of(zone)
        self._clock_ms = clock_ms
        self._level = logging.DEBUG if is_verbose else logging.INFO
        self._handlers: list[logging.Handler] = []
        if stream is not None:
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
            self._handlers.append(logging.StreamHandler(stream))
        if file is not None:
            self._handlers.append(PrivateFile(file))

    @property
    def is_verbose(self) -> bool:
        return self._level <= logging.DEBUG

    def write(self, text: str, level: int = logging.INFO) -> None:
        if level < self._level:
            return
        line = f"{self.moment(self._clock_ms())} [{logging.getLevelName(level)}] {text}"
        record = logging.LogRecord("keeper", level, "", 0, line, None, None)
        for handler in self._handlers:
            handler.handle(record)

    def moment(self, at_ms: int) -> str:
        """As the lines begin, in the zone of the settings."""
        at = datetime.datetime.fromtimestamp(at_ms / 1000, self._zone)
        return at.strftime("%Y-%m-%d %H:%M:%S")

    def close(self) -> None:
        for handler in self._handlers:
            handler.flush()
            if isinstance(handler, PrivateFile):
                handler.close()


class PrivateFile(logging.handlers.RotatingFileHandler):
    """Rotated by size; nobody but its owner may read it, whatever the umask says."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=FILE_BYTES_MAX, backupCount=FILES_KEPT, encoding="utf-8")

    def _open(self) -> io.TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        descriptor = os.open(self.baseFilename, flags, 0o600)
        Path(self.baseFilename).chmod(0o600)  # also a file that somebody made before us
        return os.fdopen(descriptor, "a", encoding="utf-8")
