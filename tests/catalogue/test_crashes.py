"""Crashes at every statement of what writes the catalogue: what is left is right, or goes on to be right."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from betar_tui.catalogue import backlog, checking, projection
from betar_tui.catalogue.catalogue import DEFAULT_LIMITS
from betar_tui.ipld import cid, unixfs
from betar_tui.limits import Limits
from betar_tui.market.withdrawal import withdrawal
from betar_tui.replica import keys, slicing
from tests.catalogue.books import Book, contents, forged, judge, many
from tests.market.values import NOW, SIGNER, key, value
from tests.simulation.crashing import open_crashing, wreck
from tests.simulation.lab import node
from tests.simulation.memory import Crash

FILE, BLOCK = unixfs.encode_file(b'{"description":"reads scans"}')
NAMES = [f"agent-{n}" for n in range(6)]
FEW, MORE = {key(name): value(name) for name in NAMES[:2]}, many(NAMES, metadata=cid.to_str(FILE))


def small(book: Book) -> None:
    """A merge whose rows are written with it: some new, some changed, some that are none."""
    book.put({**FEW, key("agent-2"): forged("agent-2"), key("agent-3"): b"[", "/other": b"x"})


def large(book: Book) -> None:
    book.put(MORE)


def losing(book: Book) -> None:
    """A newer word that loses in the map, and a withdrawal."""
    withdrawn = keys.of_withdrawal(f"{SIGNER.peer_id}/agent-0")
    puts = {key("agent-1"): value("agent-1", timestamp=NOW + 5), withdrawn: withdrawal_of("agent-0", NOW)}
    book.merge([node((), puts.items(), (), 1)])


def withdrawing(book: Book) -> None:
    """Many withdrawals at once, one of them of what is put again since."""
    puts = {keys.of_withdrawal(f"{SIGNER.peer_id}/{name}"): withdrawal_of(name, NOW + 7) for name in NAMES}
    book.put({**puts, key("agent-0"): value("agent-0", timestamp=NOW + 8), key("agent-1"): value("agent-1")})


def withdrawal_of(name: str, at: int) -> bytes:
    return withdrawal(f"{SIGNER.peer_id}/{name}", SIGNER, at)


def removal(book: Book) -> None:
    book.height += 1
    blocks = {key(name): each.cid for name in NAMES for each in book.store.elements(key(name))}
    book.merge([node((), (), list(blocks.items()), book.height)])


def rows(book: Book) -> None:
    book.work_off(index=False)


def texts(book: Book) -> None:
    while book.catalogue.backlog.index():
        pass


def file(book: Book) -> None:
    book.catalogue.files.put({FILE: BLOCK})


def again(book: Book) -> None:
    checking.make_afresh(book.store, SIGNER.peer_id)


ACTS: list[Callable[[Book], None]] = [
    small,
    texts,
    large,
    rows,
    small,
    texts,
    file,
    losing,
    rows,
    texts,
    again,
    rows,
    removal,
    withdrawing,
    rows,
    texts,
]


@pytest.mark.parametrize("slices", [False, True], ids=["whole", "in slices"])
@pytest.mark.parametrize("after", [False, True], ids=["before or amid", "after"])
@pytest.mark.parametrize("limits", [DEFAULT_LIMITS, Limits(2, 3)], ids=["no quota in the way", "few of a seller"])
def test_a_crash_at_every_statement(
    tmp_path: Path, after: bool, limits: Limits, slices: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each act again and again, dying one statement later each time, until it survives. What each death leaves is opened,
    worked off, and compared with a projection made afresh."""
    monkeypatch.setattr(projection, "SMALL", 2 if slices else 5)
    if slices:
        monkeypatch.setattr(slicing, "MAX_ITEMS", 4)
        monkeypatch.setattr(slicing, "SLICE", 3)
    monkeypatch.setattr(backlog, "ROWS", 2)
    monkeypatch.setattr(backlog, "VERSIONS", 3)
    monkeypatch.setattr(backlog, "TEXTS", 2)
    path = tmp_path / "0.db"
    Book(path, limits=limits).close()
    deaths = 0
    for act in ACTS:
        statement = 0
        while True:
            store, db = open_crashing(path)
            book = Book(path, store=store, limits=limits)
            db.left, db.after = db.done + statement, after
            try:
                act(book)
            except Crash:
                deaths += 1
                statement += 1
                store.readers.close()
                path = wreck(path, db)
                judge(path, tmp_path / "judged.db", tmp_path / "afresh.db", limits)
                assert statement < 400
                continue
            db.left = None
            store.close()
            break
    assert deaths > 100
    judge(path, tmp_path / "judged.db", tmp_path / "afresh.db", limits)


def test_a_crash_at_every_statement_of_making_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "0.db"
    book = Book(path)
    book.put({**FEW, key("junk"): b"["})
    book.work_off()
    expected = contents(book.store._db)
    book.close()
    for statement in range(60):
        store, db = open_crashing(path)
        store.put_setting("catalogue", "another version")
        db.left = db.done + statement
        try:
            Book(path, store=store).close()
        except Crash:
            store.readers.close()
            path = wreck(path, db)
            copy = tmp_path / "copy.db"
            shutil.copyfile(path, copy)
            book = Book(copy)
            book.work_off()
            assert contents(book.store._db) == expected
            book.close()
        else:
            break
    assert 15 < statement < 59


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.catalogue.books import Book, many
book = Book(Path(sys.argv[1]))
life = int(sys.argv[3])
print("open", flush=True)
for n in range(10**6):
    book.put(many([f"agent-{n}-{i}" for i in range(80)], price=life))
    book.put(many([f"agent-{n}-{i}" for i in range(8)], price=life + 1))
    for _ in range(3):
        book.catalogue.backlog.write(book.catalogue.backlog.prepare(), 9.0)
        book.catalogue.backlog.index()
"""


def test_kill_9_under_load_leaves_what_goes_on_to_be_right(tmp_path: Path) -> None:
    path = tmp_path / "db"
    for life in range(6):
        command = [sys.executable, "-c", WORKER, str(path), str(Path(__file__).parents[2]), str(life)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "open\n"
            deadline = time.monotonic() + 0.05 + 0.031 * life
            while time.monotonic() < deadline:
                pass
            worker.kill()
        judge(path, tmp_path / "judged.db", tmp_path / "afresh.db")
