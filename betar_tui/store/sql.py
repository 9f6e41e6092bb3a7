"""Small things that all statements share: long lists, great heights, and short names for what is looked up by value.

A digest or a key is found by the first eight bytes of a hash, an integer: a quarter of the room that an index of the
values takes, on pages that hold four times as many. Two values with the same short name are no error, only rare, and
whoever looks one up compares the whole.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

PREFIX = b"\x01\x70\x12\x20"
_CHUNK = 500
_SIGN_BIT = 1 << 63
_LONG_KEY = 256
"""Keys of more characters are not kept: anybody can write some of megabytes."""


def digests(cids: Iterable[bytes]) -> list[bytes]:
    """What stands behind the constant prefix of these CIDs."""
    return [name[4:] for name in cids]


def short(digest: bytes) -> int:
    """The short name of a block."""
    return int.from_bytes(digest[:8], "big", signed=True)


def short_key(key: str) -> int:
    """The short name of a key."""
    return _by_heart(key) if len(key) <= _LONG_KEY else _short_key(key)


def _short_key(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)


_by_heart = lru_cache(16_384)(_short_key)
"""A merge asks three times."""


def in_list(db: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[Any]:
    """The rows of "… IN" a list of any length."""
    rows: list[Any] = []
    for i in range(0, len(values), _CHUNK):
        part = values[i : i + _CHUNK]
        rows += db.execute(f"{sql} ({','.join('?' * len(part))})", part).fetchall()
    return rows


def to_sql(height: int) -> int | bytes:
    """A height as it is kept."""
    return height if height < _SIGN_BIT else height.to_bytes(8, "big")


def from_sql(stored: int | bytes) -> int:
    """The reverse of `to_sql`."""
    return stored if isinstance(stored, int) else int.from_bytes(stored, "big")
