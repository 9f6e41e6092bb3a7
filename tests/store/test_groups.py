"""How a group of packed blocks is written."""

from __future__ import annotations

import pytest

from betar_tui.errors import StoreError
from betar_tui.store.groups import Group, Member, pack


def test_any_bit_that_flips_is_noticed() -> None:
    members = [Member(i, 1000 - i, 1, b"block %d" % i * 9) for i in range(20)]
    packed = pack(members)
    group = Group(packed)
    assert [group.member(i) for i in range(20)] == members
    with pytest.raises(StoreError):
        group.member(20)
    for bit in range(len(packed) * 8):
        rotten = bytearray(packed)
        rotten[bit // 8] ^= 1 << bit % 8
        try:
            group = Group(bytes(rotten))
        except StoreError:
            continue
        assert [group.member(i) for i in range(20)] == members  # a bit of the header that means nothing


def test_numbers_of_any_size_in_a_group() -> None:
    members = [
        Member(height, at, via, b"x" * i)
        for i, (height, at, via) in enumerate(
            [((1 << 64) - 1, 0, 0), (0, 1 << 50, (1 << 32) - 1), (1 << 63, 1, 7), ((1 << 63) - 1, 9, 7)]
        )
    ]
    group = Group(pack(members))
    assert [group.member(i) for i in range(4)] == members
