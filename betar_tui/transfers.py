"""The files of `export` and `import`: opened here, with the rights of who gives the command, and handed to the peer.

"-" is stdin or stdout. A CAR file is read more than once, so what comes through a pipe is kept in a file without a name
meanwhile, and so is what goes into one."""

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from betar_tui.choices import STDIO
from betar_tui.errors import ArchiveError, DecodeError, UsageError
from betar_tui.files.passing import nameless, open_stream
from betar_tui.files.plain import open_plain
from betar_tui.files.replacing import Replacement
from betar_tui.files.rules import explain, given_stream
from betar_tui.stdout import unwritable

PIECE = 1 << 20
"""Bytes that are copied at a time."""


@contextlib.contextmanager
def exported_to(path: Path, directory: Path) -> Iterator[BinaryIO]:
    """The file that an export is written to. It appears once all is written, and nothing appears after an error.

    `directory` is where it is kept meanwhile that goes to stdout. Raises UsageError, ArchiveError, OutputError."""
    if str(path) == STDIO:
        with _for_stdout(directory) as file:
            yield file
        return
    if path.name in ("", "..") or path.is_dir():
        raise UsageError(f"{path} is not a file's name; write it like {path / 'market.car'}")
    try:
        new = Replacement(path, 0o666)
        try:
            yield new.file
            new.commit()
        except BaseException:
            new.discard()
            raise
    except OSError as error:
        raise ArchiveError(explain(error, f"cannot write {path}", "choose another place")) from error


@contextlib.contextmanager
def _for_stdout(directory: Path) -> Iterator[BinaryIO]:
    if sys.stdout is None:
        raise UsageError("stdout is closed; name a file to export to")
    if sys.stdout.isatty():
        raise UsageError("a CAR file is not a text for a terminal; name a file, or send it into one or into a pipe")
    try:
        kept = nameless(directory)
    except OSError as error:
        raise ArchiveError(
            explain(error, f"cannot write what goes to stdout into {directory}", "name a file")
        ) from error
    with kept as file:
        yield file
        file.seek(0)
        try:
            shutil.copyfileobj(file, sys.stdout.buffer, PIECE)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise unwritable(error) from error


@contextlib.contextmanager
def imported_from(path: Path, directory: Path) -> Iterator[BinaryIO]:
    """The file that is imported; `directory` is where it is kept meanwhile that comes through a pipe.

    Raises UsageError, ArchiveError."""
    given = 0 if str(path) == STDIO else given_stream(path)
    try:
        if given is None:
            with open_plain(path) as file:
                yield file
            return
        if str(path) == STDIO and sys.stdin is None:
            raise ArchiveError("stdin is closed; name a file to import")
        if os.isatty(given):
            raise UsageError(
                "a CAR file cannot be typed; name one, or send it in, as in betar-tui import - < market.car"
            )
        with open_stream(given) as stream:
            if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                yield stream
                return
            with nameless(directory) as file:
                _copy(stream, file)
                yield file
    except OSError as error:
        raise ArchiveError(explain(error, f"cannot read {shown(path)}", "name another file")) from error


def _copy(stream: BinaryIO, file: BinaryIO) -> None:
    """Copy what comes through a pipe; of what is not a CAR file, which might never end, only the beginning."""
    from betar_tui.ipld.carfile import CarFileReader, compression  # deferred: only pipes need it

    first = stream.read(PIECE)
    file.write(first)
    with contextlib.suppress(DecodeError):
        for _ in CarFileReader().feed(first):
            pass
        if not compression(first[:16]):
            shutil.copyfileobj(stream, file, PIECE)
    file.flush()
    file.seek(0)


def shown(path: Path, stream: str = "stdin") -> str:
    """A path in a message, or the stream that it stands for."""
    return stream if str(path) == STDIO else str(path)


def absolute(path: Path, stream: str = "stdin") -> str:
    """The same for programs, which may run elsewhere: a path is absolute."""
    return stream if str(path) == STDIO else str(path.absolute())
