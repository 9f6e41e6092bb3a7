"""Nothing outside `betar_tui/files/` opens, makes, replaces or removes a file, a directory or a Unix socket."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import betar_tui

ROOT = Path(betar_tui.__file__).parent
FUNCTIONS = {
    *(f"os.{name}" for name in (
        "open", "replace", "rename", "renames", "unlink", "remove", "link", "symlink", "mkdir", "makedirs", "rmdir", "chmod",
        "chown", "truncate", "mkfifo", "mknod",
    )),
    "open", "io.open", "codecs.open", "trio.open_file", "shutil.copy", "shutil.copyfile", "shutil.move", "shutil.rmtree",
    "tempfile.mkstemp", "tempfile.mkdtemp", "tempfile.NamedTemporaryFile", "tempfile.TemporaryDirectory", "sqlite3.connect",
}  # fmt: skip
METHODS = {
    "read_text", "read_bytes", "write_text", "write_bytes", "touch", "mkdir", "rmdir", "rename", "chmod", "unlink", "bind",
    "symlink_to", "hardlink_to",
}  # fmt: skip
ALLOWED = {
    ("stdout.py", "os.open"),  # /dev/null
    ("store/database.py", "sqlite3.connect"),  # after `files.plain.prepare_database`
    ("store/readers.py", "sqlite3.connect"),  # the same database
    ("doctor.py", ".bind"),  # of a TCP socket
    ("p2p/discovery/multicast.py", ".bind"),  # of a UDP socket
    ("market/calls.py", ".bind"),  # of a signature
    ("tui/screens/main.py", ".touch"),  # of lines
    ("tui/widgets/listings.py", ".touch"),
}


def openings(source: str) -> Iterator[str]:
    """The calls in a source that do something with a file of some name."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in FUNCTIONS:
            yield called
        elif isinstance(node.func, ast.Attribute):
            name = node.func.attr
            # `Path.open` with a mode; other things open too.
            if name in METHODS or (name == "open" and node.args and isinstance(node.args[0], ast.Constant)):
                yield f".{name}"


def test_only_one_room_opens_files() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), called)
        for path in ROOT.rglob("*.py")
        if path.parent != ROOT / "files"
        for called in openings(path.read_text())
    }
    assert found == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "open('x')",
        "os.open(x, 0)",
        "Path('x').write_text('')",
        "x.open('wb')",
        "await trio.open_file(x)",
        "os.replace(a, b)",
    ],
)
def test_a_file_that_is_opened_is_found(source: str) -> None:
    assert list(openings(source)) != []


@pytest.mark.parametrize("source", ["self.open(row)", "text.replace('a', 'b')", "archive.open()"])
def test_other_things_may_be_opened(source: str) -> None:
    assert list(openings(source)) == []
