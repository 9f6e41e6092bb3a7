"""SQLite's integrity check of all tables but virtual ones."""

import sqlite3

_FIRST_WITH_VIRTUAL = (3, 44, 0)
"""The version from which `integrity_check` examines the content of virtual tables (https://sqlite.org/releaselog/3_44_0.html):
of a search index of a million listings that takes as long as all else, and an index that is damaged can be made afresh, a
database that is cannot."""


def integrity(db: sqlite3.Connection, version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str:
    """The first error that a check finds, "ok" for none. `version` is SQLite's."""
    if version < _FIRST_WITH_VIRTUAL:
        return str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])
    # Of single tables nobody sees whether two share a page; the check of the schema's looks at the free pages as well
    # (https://sqlite.org/pragma.html#pragma_integrity_check).
    sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL %'"
    for name in ("sqlite_schema", *(name for (name,) in db.execute(sql))):
        quoted = name.replace("'", "''")
        (said,) = db.execute(f"PRAGMA integrity_check('{quoted}')").fetchone()
        if said != "ok":
            return str(said)
    return "ok"
