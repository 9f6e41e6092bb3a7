"""Whose word about a listing counts."""

import json
from collections.abc import Mapping
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from betar_tui.market.kinds import Difference
from betar_tui.market.listing import decode_fields
from betar_tui.market.marketplace import Listing
from betar_tui.market.provenance import Signer
from betar_tui.market.words import Decision, Source, Word, decide, newest
from betar_tui.replica.facts import Winner
from tests.market.values import NOW, key, value, winner


def word_of(name: str, version: Winner, least: Word | None = None, place: tuple[int, bytes] = (0, b"")) -> Word | None:
    def read(fields: Mapping[str, object], version: Winner) -> Listing:
        return decode_fields(fields, name, version, 0.0, "")

    spoken = newest([version], read, least, lambda: place)
    return spoken.word if spoken is not None else None


TIMES = st.none() | st.integers(-3, 3)


@given(TIMES, TIMES, st.booleans(), st.booleans())
def test_the_decision(signed: int | None, withdrawn: int | None, in_map: bool, same: bool) -> None:
    source, difference = decide(signed, withdrawn, in_map, same and in_map)
    if withdrawn is not None and (signed is None or signed <= withdrawn):
        assert (source, difference) == (Source.NOTHING, Difference.WITHDRAWN)
    elif signed is not None:
        assert source is Source.SIGNED
        expected = Difference.REMOVED if not in_map else Difference.NONE if same else Difference.REPLACED
        assert difference is expected
    else:
        assert (source, difference) == (Source.MAP if in_map else Source.NOTHING, Difference.NONE)


def test_what_the_map_has_changes_nothing_once_the_seller_has_spoken() -> None:
    for withdrawn in (None, NOW - 1, NOW, NOW + 1):
        sources = {decide(NOW, withdrawn, *map_).source for map_ in ((False, False), (True, False), (True, True))}
        assert len(sources) == 1
    assert decide(None, NOW, True, False) == Decision(Source.NOTHING, Difference.WITHDRAWN), "an unsigned copy"


def test_the_words_for_it() -> None:
    assert Difference.REMOVED == "removed by another peer; its seller has not withdrawn it"
    assert Difference.REPLACED == "replaced by another peer; this is what its seller signed last"
    assert Difference.WITHDRAWN == "withdrawn by its seller"


def test_a_word_is_a_verified_version() -> None:
    word = word_of(key(), winner(value()))
    assert word is not None
    assert word.timestamp == NOW
    fields = json.loads(value())
    forged = [
        {**fields, "timestamp": NOW + 1},
        {name: each for name, each in fields.items() if name != "signature"},
        {**fields, "signature": Signer(b"\x07" * 32).sign(fields)},
        {**fields, "timestamp": str(NOW)},
    ]
    for each in (b"", b"junk", b'"signature"', *(json.dumps(each).encode() for each in forged)):
        assert word_of(key(), winner(each)) is None
    assert word_of(key("other"), winner(value())) is None


def test_only_what_claims_to_be_newer_is_checked(monkeypatch) -> None:
    word = word_of(key(), winner(value()))

    def verify(*_: object) -> None:
        raise AssertionError("it was checked")

    assert word_of(key(), winner(value()), word) == word, "the same word in another block is a word"
    assert word_of(key(), winner(value(), 2), word, (3, b"")) is None, "unless that one is lower"
    monkeypatch.setattr("betar_tui.market.listing.verify", verify)
    assert word_of(key(), winner(value(timestamp=NOW - 1)), word) is None
    assert word_of(key(), winner(value()), Word(NOW + 1, -(1 << 63))) is None


def test_where_a_word_stands_is_asked_once_however_many_copies_there_are() -> None:
    word = word_of(key(), winner(value()))
    asked = list[None]()

    def place() -> tuple[int, bytes]:
        asked.append(None)
        return 1_000, b""

    assert newest([winner(value(), height) for height in range(1_000)], unread, word, place) is None
    assert len(asked) == 1


def unread(*_: object) -> Listing:
    raise AssertionError("it was checked")


def test_two_words_of_one_second_have_one_order() -> None:
    values = [value(price=price) for price in (1, 2, 3)]
    last = set()
    for each in permutations(values):
        newest = None
        for content in each:
            newest = word_of(key(), winner(content), newest) or newest
        last.add(newest)
    assert len(last) == 1


def test_the_greatest_timestamps_fit() -> None:
    for timestamp in (-(1 << 63), (1 << 63) - 1, -1, 0):
        assert word_of(key(), winner(value(timestamp=timestamp))).timestamp == timestamp
    assert word_of(key(), winner(value(timestamp=1 << 63))) is None
    assert word_of(key(), winner(value(timestamp=-(1 << 63) - 1))) is None


@given(st.permutations(range(6)), st.lists(st.sampled_from("nvwx"), min_size=6, max_size=6))
def test_the_newest_is_found_in_any_order_of_heights(heights: list[int], kinds: list[str]) -> None:
    """Signed, unsigned, forged with a later time, and in disguise: the newest verified one counts."""
    versions, words = [], []
    for n, (height, kind) in enumerate(zip(heights, kinds, strict=True)):
        content = value(timestamp=NOW + n)
        if kind == "v":
            words.append(NOW + n)
        elif kind == "n":
            content = content.replace(b'"signature"', b'"unsigned"')
        elif kind == "w":
            content = content.replace(b'"timestamp":', b'"timestamp": 9')
        else:
            content = content.replace(b'"timestamp"', b'"timestam\\u0070"')
            words.append(NOW + n)
        versions.append(winner(content, height + 1))
    spoken = newest(versions, lambda fields, each: decode_fields(fields, key(), each, 0.0, ""))
    assert (spoken.word.timestamp if spoken else None) == max(words, default=None)
