"""Logging of the process: destination, format and rate limit. The libraries in use are silenced."""

import json
import logging
import math
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from betar_tui.errors import ConfigError
from betar_tui.files.plain import open_plain
from betar_tui.files.replacing import rotate as rename_log
from betar_tui.files.rules import explain
from betar_tui.plurals import plural

log = logging.getLogger(__name__)

FILE_NAME = "betar-tui.log"
LINES_A_MINUTE = 120
"""Maximum lines logged in a minute, by logger and level."""
_NOISY = ("libp2p", "multiaddr", "async_service", "zeroconf", "aioquic", "quic", "httpx", "urllib3", "asyncio")
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
"""The format of a line of text."""


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time (Unix seconds), level, logger, message and, for errors, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=True)


class RateLimitFilter(logging.Filter):
    """Limits the lines of each logger and level in a minute, except errors, so that peers cannot fill the disk."""

    def __init__(self, limit: int = LINES_A_MINUTE, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._limit, self._clock = limit, clock
        self._minute = -math.inf
        self._passed: Counter[tuple[str, int]] = Counter()
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if self._clock() - self._minute >= 60:
            left_out, self._left_out = self._left_out, 0
            self._minute = self._clock()
            self._passed.clear()
            if left_out:
                said = plural(
                    left_out, "line of the minute before was left out", "lines of the minute before were left out"
                )
                log.warning("%s", said)
        kind = record.name, record.levelno
        self._passed[kind] += 1
        if record.levelno >= logging.ERROR or self._passed[kind] <= self._limit:
            return True
        self._left_out += 1
        return False


def configure(level: str, form: str, file: Path | None) -> None:
    """Log to `file`, which may be moved away at any time, or to stderr. Raises ConfigError if it cannot be written."""
    handler = _file_handler(file) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else logging.Formatter(TEXT))
    if level != "debug":  # the debug level shows everything
        handler.addFilter(RateLimitFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _file_handler(file: Path) -> logging.Handler:
    from betar_tui.logfile import LogFile  # deferred: most commands log to stderr

    try:
        return LogFile(file, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(explain(error, f"cannot write the log {file}", "choose another --log-file")) from error


def rotate(file: Path, limit: int = 4 << 20) -> None:
    """Rename a log file of more than `limit` bytes to *.1; its writer opens a new one. For one process at a time."""
    with suppress(OSError):  # the file grows until the next attempt
        if file.stat().st_size > limit:
            rename_log(file, file.with_name(f"{file.name}.1"))


def tail(file: Path, lines: int = 200, at_most: int = 64 << 10) -> list[str]:
    """The last lines of a log file, oldest first; empty without a file. Raises OSError."""
    try:
        with open_plain(file) as log:
            log.seek(max(0, log.seek(0, 2) - at_most))
            return log.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
