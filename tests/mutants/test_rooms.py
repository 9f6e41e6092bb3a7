"""The rooms that `make mutants` samples exist, and the sample is the same each time."""

import pytest

from tests.mutants.__main__ import ROOMS, ROOT, Room, draw


@pytest.mark.parametrize("room", ROOMS, ids=[room.name for room in ROOMS])
def test_the_code_and_the_tests_of_a_room_exist(room: Room) -> None:
    for pattern in (*room.code, *room.left_out, *room.tests):
        assert list(ROOT.glob(pattern)), pattern


def test_a_sample_is_the_same_each_time_and_in_proportion_to_size() -> None:
    mutants = {"large": [f"a{n}" for n in range(900)], "small": [f"b{n}" for n in range(100)]}
    sample = draw(mutants, 200)
    assert sample == draw(mutants, 200)
    assert sum(map(len, sample.values())) == 200
    assert 160 < len(set(sample["large"])) < 195


def test_fewer_mutants_than_asked_for_are_all_taken() -> None:
    assert draw({"a": ["x", "y"], "b": []}, 200) == {"a": ["x", "y"], "b": []}
