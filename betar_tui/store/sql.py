"""Helpers that all statements share: IN lists of any length, heights beyond 2^63, and short names.

A digest or a key is found by its short name, the first eight bytes of a hash as an integer: an index of these takes a
quarter of the space of one of the values, with four times as many entries on a page. Two values may share a short name,
which is rare, so every look-up compares the values as well."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

PREFIX = b"\x01\x70\x12\x20"
FILE_PREFIXES = (PREFIX, b"\x01\x55\x12\x20", b"\x12\x20")
"""What stands before the digest in the CIDs of files."""
_CHUNK = 500
_SIGN_BIT = 1 << 63
_LONG_KEY = 256
"""Maximum length of a key that is cached, in characters: anybody can write keys of megabytes."""


def digests(cids: Iterable[bytes]) -> list[bytes]:
    """The digests of these CIDs, which follow the constant prefix."""
    return [cid[4:] for cid in cids]


def short(digest: bytes) -> int:
    """The short name of a block."""
    return int.from_bytes(digest[:8], "big", signed=True)


def short_key(key: str) -> int:
    """The short name of a key."""
    return _cached_short_key(key) if len(key) <= _LONG_KEY else _short_key(key)


def _short_key(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)


_cached_short_key = lru_cache(16_384)(_short_key)
"""A merge asks three times for each key."""


def in_list(db: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[Any]:
    """The rows of "… IN" a list of any length."""
    return list(each_in_list(db, sql, values))


def each_in_list(db: sqlite3.Connection, sql: str, values: Sequence[Any]) -> Iterator[Any]:
    """The same, one read after the other."""
    for i in range(0, len(values), _CHUNK):
        part = values[i : i + _CHUNK]
        yield from db.execute(f"{sql} ({','.join('?' * len(part))})", part)


def to_sql(height: int) -> int | bytes:
    """A height as it is stored."""
    return height if height < _SIGN_BIT else height.to_bytes(8, "big")


def from_sql(stored: int | bytes) -> int:
    """The inverse of `to_sql`."""
    return stored if isinstance(stored, int) else int.from_bytes(stored, "big")
