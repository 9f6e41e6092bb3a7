"""Where blocks came from."""

import sqlite3
from collections.abc import Collection
from typing import NamedTuple

from betar_tui.store.history import History
from betar_tui.store.sql import in_list


class Origin(NamedTuple):
    """The peer that a block came from, "" for this one, and its size."""

    via: str
    size: int


def origins(db: sqlite3.Connection, history: History, numbers: Collection[int]) -> dict[int, Origin]:
    """The origins of blocks, given by their numbers."""
    sql = "SELECT n, peer, length(data) FROM blocks JOIN sources ON sources.id = blocks.via WHERE n IN"
    found = {n: Origin(peer, size) for n, peer, size in in_list(db, sql, list(numbers))}
    packed = dict(history.members(db, [n for n in numbers if n not in found]))
    sql = "SELECT id, peer FROM sources WHERE id IN"
    peers = dict(in_list(db, sql, list({each.via for each in packed.values()})))
    return found | {n: Origin(peers[each.via], len(each.data)) for n, each in packed.items()}
