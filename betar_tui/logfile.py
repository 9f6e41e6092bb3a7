"""The log file, for `logs`. A module of its own: few commands write one, and its base is slow to import."""

import logging
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path

from betar_tui.files.plain import open_append


class LogFile(WatchedFileHandler):
    """A log file whose errors are ignored: a failing log must disturb neither the peer nor the screen."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # raised when a file that was moved away cannot be opened again
            super().emit(record)

    def _open(self) -> TextIOWrapper:
        return TextIOWrapper(open_append(Path(self.baseFilename)), encoding=self.encoding, errors=self.errors)

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignored: a failing log must not raise."""
