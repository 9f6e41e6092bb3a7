"""What is asked for while a filter is typed."""

import pytest

from betar_tui.tui.filtering import Filtering


def typed(text: str) -> tuple[list[str], Filtering]:
    """What is in force after each letter."""
    filtering, queries = Filtering(), []
    for end in range(1, len(text) + 1):
        filtering.apply(text[:end], typing=True)
        queries.append(filtering.query)
    return queries, filtering


@pytest.mark.parametrize(("before", "mark"), [("", ""), ("ocr ", ""), ("ocr ", "!")])
def test_the_name_of_a_field_of_metadata_is_not_looked_for_as_a_word(before, mark):
    queries, filtering = typed(f"{before}{mark}meta.tier:gold")
    start = len(before) + len(mark) + len("meta")
    assert queries[start - 1] == f"{before}{mark}meta"
    assert set(queries[start : start + len(".tier")]) == {before.strip()}
    assert queries[-1] == f"{before}{mark}meta.tier:gold"
    assert filtering.hint == ""


def test_it_is_completed():
    _, filtering = typed("ocr meta.ti")
    assert (filtering.query, filtering.error, filtering.hint) == ("ocr", "", "meta.tier:gold")


def test_what_was_entered_is_looked_for_as_it_stands():
    filtering = Filtering()
    filtering.apply("ocr meta.ti", typing=True)
    filtering.apply("ocr meta.ti")
    assert filtering.query == "ocr meta.ti"


def test_another_field_is_looked_for_as_a_word_until_nothing_has_it():
    queries, filtering = typed("ocr pric")
    assert queries[-1] == "ocr pric"
    assert filtering.found_nothing()
    assert (filtering.query, filtering.hint) == ("ocr", "price<0.5")
