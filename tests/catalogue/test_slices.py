"""Large deltas that are merged in slices: whatever comes between two of them, the catalogue is as one made afresh."""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betar_tui.catalogue import backlog, projection
from betar_tui.market.marketplace import ChangeKind, Provenance
from betar_tui.market.withdrawal import withdrawal
from betar_tui.replica import Applied, DagNode, keys, slicing
from betar_tui.replica.slicing import is_large
from tests.catalogue.books import Book, afresh, contents, forged, many, unsigned
from tests.market.values import NOW, SIGNER, key, value
from tests.simulation.lab import node

NAMES = [f"agent-{n}" for n in range(3_000)]


def verified(book: Book) -> int:
    return book.catalogue.page("state:verified", "", 0, 10.0).matching


def judge(book: Book, path: Path) -> None:
    """Worked off, it is what a catalogue made afresh is."""
    book.work_off()
    assert book.is_right()
    found = contents(book.store._db)
    book.close()
    expected = afresh(path)
    different = [name for name in expected if found[name] != expected[name]]
    assert not different, different


def test_merges_and_slices_of_the_backlog_between_the_slices_of_a_delta(tmp_path: Path) -> None:
    """Every signed listing is shown, though unsigned versions above it, in blocks that came later, were looked at first."""
    book = Book(tmp_path / "db")
    delta = node((), {key(name): value(name, price=1) for name in NAMES}.items(), (), 1)
    assert is_large(delta)
    book.height = 1
    steps = book.merging([delta])
    next(steps)
    book.put(many(NAMES, price=2))
    book.put({key(name): forged(name) for name in NAMES[::7]})
    slices = 1
    while True:
        prepared = book.catalogue.backlog.prepare()
        if next(steps, None) is None:
            break
        slices += 1
        book.catalogue.backlog.write(prepared, 9.0)
        book.put({key(NAMES[-slices]): value(NAMES[-slices], timestamp=NOW + slices, price=3)})
        for _ in range(3):
            book.catalogue.backlog.write(book.catalogue.backlog.prepare(), 9.0)
    assert slices >= 6
    book.catalogue.backlog.write(prepared, 9.0)
    book.work_off()
    assert verified(book) == len(NAMES)
    judge(book, tmp_path / "db")


def test_a_slice_comes_while_later_blocks_of_its_keys_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slicing, "MAX_ITEMS", 4)
    monkeypatch.setattr(slicing, "SLICE", 3)
    monkeypatch.setattr(projection, "SMALL", 1)
    monkeypatch.setattr(backlog, "VERSIONS", 2)
    book = Book(tmp_path / "db")
    names = NAMES[:6]
    book.put(many(names, price=7))
    steps = book.merging([node((), {key(name): value(name) for name in names}.items(), (), 1)])
    next(steps)
    for price in (8, 9):
        for _ in book.merging([node((), many(names, price=price).items(), (), price)]):
            pass
    while verified(book) < 3:
        book.catalogue.backlog.write(book.catalogue.backlog.prepare(), 9.0)
    for _ in range(12):  # whichever portion of a key is at hand when the slice comes
        prepared = book.catalogue.backlog.prepare()
        next(steps, None)
        book.catalogue.backlog.write(prepared, 9.0)
    book.work_off()
    assert verified(book) == 6
    judge(book, tmp_path / "db")


def test_what_becomes_of_each_slice_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several slices may be merged before anybody asks."""
    monkeypatch.setattr(slicing, "MAX_ITEMS", 4)
    monkeypatch.setattr(slicing, "SLICE", 2)
    book = Book(tmp_path / "db")
    book.put({key("agent-3"): unsigned("agent-3", price=3)})
    # The map keeps the higher versions, so that no value changes in their slices.
    higher = {key(f"agent-{n}"): unsigned(f"agent-{n}", price=4) for n in (4, 5, 6, 7)}
    book.merge([node((), higher.items(), (), 9)])
    delta = node((), {key(name): value(name) for name in NAMES[:8]}.items(), (), 2)
    steps = list(book.replica.merging([delta], "peer", 5.0))
    assert len(steps) == 4
    told = [book.catalogue.changes_of(Applied(each.nodes, each.effects, "peer", 5.0)) for each in steps]
    changes = {change.id.rpartition("/")[2]: change for each in told for change in each}
    assert sorted(changes) == NAMES[:8]
    assert sum(map(len, told)) == 8
    assert [changes[name].kind for name in NAMES[:4]] == [ChangeKind.PUT] * 3 + [ChangeKind.UPDATE]
    assert all(each.listing and each.listing.provenance is Provenance.VERIFIED for each in changes.values())
    assert not book.catalogue._projection._told
    judge(book, tmp_path / "db")


def _delta(rng: random.Random, height: int, before: list[DagNode]) -> DagNode:
    puts: dict[str, bytes] = {}
    for name in rng.sample("abcd", rng.randrange(1, 5)):
        at, price = NOW + rng.randrange(3), rng.randrange(1, 4)
        kind = rng.choice(("signed", "signed", "unsigned", "forged", "withdrawn"))
        if kind == "withdrawn":
            listing_id = f"{SIGNER.peer_id}/{name}"
            puts[keys.of_withdrawal(listing_id)] = withdrawal(listing_id, SIGNER, at)
        elif kind == "signed":
            puts[key(name)] = value(name, timestamp=at, price=price)
        else:
            puts[key(name)] = unsigned(name, price=price) if kind == "unsigned" else forged(name, price)
    spans = [(span.key, each.cid) for each in before for span in each.delta.elements]
    return node((), puts.items(), rng.sample(spans, min(len(spans), rng.randrange(4))), height)


def _feed(rng: random.Random, path: Path, deltas: list[DagNode]) -> Book:
    """Merge deltas, several at a time in slices that alternate, with the backlog at work and restarts between."""
    book = Book(path)
    left = rng.sample(deltas, len(deltas))
    begun: list[Iterator[object]] = []
    prepared: dict[int, backlog.Prepared] = {}
    while left or begun:
        act = rng.choice(
            ("begin", "step", "step", "step", "prepare", "write", "restart" if rng.random() < 0.2 else "step")
        )
        if act == "begin" and left:
            begun.append(book.merging([left.pop() for _ in range(min(rng.randrange(1, 3), len(left)))]))
        elif act == "step" and begun:
            chosen = rng.choice(begun)
            if next(chosen, None) is None:
                begun.remove(chosen)
        elif act == "prepare":
            prepared = book.catalogue.backlog.prepare()
        elif act == "write":
            book.catalogue.backlog.write(prepared, 9.0)
        elif act == "restart":
            prepared = {}
            book.close()
            book = Book(path)
            begun = [book.resuming()]
    book.catalogue.backlog.write(prepared, 9.0)
    book.merge(deltas)  # what was asked for and not begun
    return book


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_slices_in_any_order_with_the_backlog_at_work_make_one_catalogue(seed: int) -> None:
    rng = random.Random(seed)
    deltas: list[DagNode] = []
    for number in range(rng.randrange(1, 7)):
        deltas.append(_delta(rng, rng.randrange(1, 6) * 10 + number, deltas))
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(slicing, "MAX_ITEMS", rng.choice((1, 3, 2_000)))
        patch.setattr(slicing, "SLICE", rng.choice((1, 2)))
        patch.setattr(projection, "SMALL", rng.choice((0, 1, 256)))
        patch.setattr(backlog, "VERSIONS", rng.choice((1, 2, 2_000)))
        patch.setattr(backlog, "ROWS", rng.choice((1, 400)))
        shown = []
        for number in range(2):
            path = Path(directory) / f"{number}.db"
            book = _feed(rng, path, deltas)
            book.work_off()
            shown.append({each.id: each for each in book.catalogue.page("", "", 0, 10.0).listings})
            judge(book, path)
    assert shown[0] == shown[1]
