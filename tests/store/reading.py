"""Reads the whole map of a store."""

from betar_tui.replica.facts import Winner
from betar_tui.store.database import Store
from betar_tui.store.sql import PREFIX


def values(store: Store, prefix: tuple[str, str] = ("", "\U0010ffff")) -> list[tuple[str, Winner, float]]:
    """Each key in the half-open range with its value and the time of its merge, Unix seconds. Raises StoreError."""
    sql = "SELECT key, n, start, length FROM keys WHERE n IS NOT NULL AND key >= ? AND key < ?"
    with store._reading() as db:
        rows = sorted(store._history.values(db, db.execute(sql, prefix).fetchall()))
    return [(row.key, Winner(row.height, row.value, PREFIX + row.digest), row.at / 1000) for row in rows]
