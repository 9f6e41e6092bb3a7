"""The format of a group of packed blocks: a zstd frame with a checksum around columns of numbers and the blocks.

    count: u32 | lengths: u32 … | sources: u32 … | heights: u64 … | times: u64 … | block block …

Heights and times are stored as differences to the previous one, modulo 2^64: in a market nearly all of these are alike,
so that a column of them compresses to almost nothing. Pure."""

import struct
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import zstandard

from betar_tui.errors import StoreError

SLOTS = 256
"""Maximum number of blocks in a group."""
FULL = 256 << 10
"""Number of bytes at which a group is full: a reader must unpack all of it."""
_LEVEL = 9
_MODULUS = 1 << 64
_MAX_GROUP = FULL + (2 << 20) + SLOTS * 24 + 4
"""Maximum size of an unpacked group: its last block may be as large as any."""


class Member(NamedTuple):
    """A block as it was in its table; `at` in milliseconds, `via` a source's number."""

    height: int
    at: int
    via: int
    data: bytes


def pack(members: Sequence[Member]) -> bytes:
    """The group of these blocks."""
    count = len(members)
    head = struct.pack(
        f"<I{count}I{count}I{count}Q{count}Q",
        count,
        *(len(each.data) for each in members),
        *(each.via for each in members),
        *_differences([each.height for each in members]),
        *_differences([each.at for each in members]),
    )
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    return compressor.compress(head + b"".join(each.data for each in members))


class Group:
    """A group, unpacked. Raises StoreError when it is damaged."""

    def __init__(self, packed: bytes) -> None:
        try:
            if not 0 <= zstandard.frame_content_size(packed) <= _MAX_GROUP:
                raise StoreError("packed blocks are damaged; run betar-tui doctor")
            raw = zstandard.ZstdDecompressor().decompress(packed)
            (count,) = struct.unpack_from("<I", raw)
            columns = struct.unpack_from(f"<{count}I{count}I{count}Q{count}Q", raw, 4)
        except (zstandard.ZstdError, struct.error) as error:
            raise StoreError(f"packed blocks are damaged: {error}; run betar-tui doctor") from error
        self._raw = raw
        self._ends = tuple(accumulate(columns[:count], initial=4 + 24 * count))
        if self._ends[-1] != len(raw):
            raise StoreError("packed blocks are damaged; run betar-tui doctor")
        self._via = columns[count : 2 * count]
        self._heights = tuple(accumulate(columns[2 * count : 3 * count]))
        self._times = tuple(accumulate(columns[3 * count :]))

    def __len__(self) -> int:
        return len(self._via)

    def member(self, slot: int) -> Member:
        """One of the blocks."""
        if slot >= len(self):
            raise StoreError("packed blocks are damaged; run betar-tui doctor")
        data = self._raw[self._ends[slot] : self._ends[slot + 1]]
        return Member(self._heights[slot] % _MODULUS, self._times[slot] % _MODULUS, self._via[slot], data)


def _differences(numbers: Sequence[int]) -> list[int]:
    previous = (0, *numbers)
    return [(number - last) % _MODULUS for number, last in zip(numbers, previous, strict=False)]
