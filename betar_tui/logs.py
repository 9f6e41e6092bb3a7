"""Logging of one process: where it goes and in which form. Other people's libraries stay quiet."""

import json
import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from betar_tui.errors import ConfigError

_NOISY = ("libp2p", "multiaddr", "async_service", "zeroconf", "aioquic", "quic", "httpx", "urllib3", "asyncio")


TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
"""The form of a line of text."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (Unix seconds), level, logger, message and, for errors, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        entry = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=True)


def configure(level: str, form: str, file: Path | None, limit: int = 0) -> None:
    """Send this process's log to `file`, or to stderr. A file of about `limit` bytes, if that is given, makes room for a new
    one and is kept until the next. Raises ConfigError when the file cannot be written."""
    try:
        handler = (
            RotatingFileHandler(file, maxBytes=limit, backupCount=1, encoding="utf-8", errors="backslashreplace")
            if file
            else logging.StreamHandler(sys.stderr)
        )
    except OSError as error:
        raise ConfigError(f"cannot write the log {file}: {error.strerror}; choose another --log-file") from error
    handler.setFormatter(JsonFormatter() if form == "json" else logging.Formatter(TEXT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def tail(file: Path, lines: int = 200, at_most: int = 64 << 10) -> list[str]:
    """The last lines of a log file, oldest first; none where there is no file."""
    try:
        with file.open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - at_most))
            return log.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []
