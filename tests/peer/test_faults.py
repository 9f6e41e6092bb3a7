"""Whatever becomes of the disk, a call answers with an error that says so, and never with one of Python's or SQLite's."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from betar_tui.errors import BetarError
from betar_tui.market.calls import CALLS
from betar_tui.market.marketplace import ListingDraft, ListingPatch
from betar_tui.peer import Peer, open_peer
from betar_tui.store.readers import Reader
from tests.peers.harness import config


class Failing:
    """A connection to a database whose disk is gone."""

    in_transaction = False

    def __init__(self, real: sqlite3.Connection, error: Exception) -> None:
        self._real, self._error = real, error

    def execute(self, *_: object) -> object:
        raise self._error

    executemany = execute

    def close(self) -> None:
        self._real.close()


def arguments(peer: Peer, directory: Path) -> dict[str, Sequence[Any]]:
    """Arguments of each call that needs some."""
    mine = f"{peer.peer_id}/mine"
    return {
        "find": [[mine]],
        "show": [mine],
        "publish": [[ListingDraft("new", 1)]],
        "update": [mine, ListingPatch(price=2)],
        "delist": [mine],
        "connect": ["/ip4/127.0.0.1/tcp/1/p2p/" + peer.peer_id],
        "disconnect": [peer.peer_id],
        "block": ["12D3KooWGRUKZ8sRKx5n3xzwtTxhsHCqDM1NXGDRYrbkkmqBKqyk"],
        "unblock": ["12D3"],
        "mute": ["12D3KooWGRUKZ8sRKx5n3xzwtTxhsHCqDM1NXGDRYrbkkmqBKqyk"],
        "unmute": ["12D3"],
        "choose_dialect": ["documents"],
        "hold_sync": [False],
        "export_car": [str(directory / "out.car")],
        "import_car": [str(directory / "in.car")],
    }


def break_store(peer: Peer, error: Exception) -> None:
    store: Any = peer._store
    store._cache.clear()
    store._db = Failing(store._db, error)
    history = Reader(store._db, store._history)
    store.readers._take = lambda: history


def remove_directory(peer: Peer, _: Exception) -> None:
    for path in peer._store._path.parent.iterdir():
        path.unlink()
    peer._store._path.parent.rmdir()


BREAKS: list[tuple[Callable[[Peer, Exception], None], Exception]] = [
    (break_store, sqlite3.OperationalError("disk I/O error")),
    (break_store, sqlite3.DatabaseError("database disk image is malformed")),
    (break_store, sqlite3.ProgrammingError("Cannot operate on a closed database.")),
    (remove_directory, OSError()),
]


@pytest.mark.parametrize(("break_it", "error"), BREAKS, ids=lambda each: getattr(each, "__name__", str(each)))
async def test_each_call_without_a_disk(
    tmp_path: Path, break_it: Callable[[Peer, Exception], None], error: Exception
) -> None:
    failed = []
    async with open_peer(config(tmp_path / "data"), network=False) as peer:
        await peer.publish([ListingDraft("mine", 1)])
        await peer.export_car(str(tmp_path / "in.car"))
        break_it(peer, error)
        given = arguments(peer, tmp_path / "data")
        for name in CALLS:
            if not hasattr(peer, name):
                continue
            try:
                await getattr(peer, name)(*given.get(name, ()))
            except BetarError:
                failed.append(name)
    if break_it is break_store:
        assert {"listings", "show", "publish", "update", "delist", "status", "log", "dag", "export_car"} <= set(failed)
