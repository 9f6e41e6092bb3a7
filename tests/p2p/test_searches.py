"""What is done to find peers, in values."""

from __future__ import annotations

import pytest

from betar_tui.p2p.searches import dialling, search
from betar_tui.values import Search


def test_a_search_says_when_it_tries_again_or_why_it_cannot() -> None:
    assert search("searching", 7.5, 1000.0, "") == Search("searching", 1007.5)
    assert search("searching", 0.0, 1000.0, "") == Search("searching")
    assert search("searching", 7.5, 1000.0, "no answer") == Search("searching", 1007.5, "no answer")
    assert search("searching", 0.0, 1000.0, "no route") == Search("searching", None, "no route")


@pytest.mark.parametrize(
    ("found", "count", "says"),
    [
        ("bootstrap", 1, "dialling 1 bootstrap peer"),
        ("remembered", 3, "dialling 3 remembered peers"),
        ("mdns", 1, "dialling 1 peer of the local network"),
        ("dht", 2, "dialling 2 peers found in the DHT"),
        ("connect", 2, "dialling 2 peers added by hand"),
        ("incoming", 1, "dialling 1 peer that dialled this one"),
        ("", 2, "dialling 2 known peers"),
    ],
)
def test_peers_to_dial_are_counted_in_words(found: str, count: int, says: str) -> None:
    assert dialling({found: (count, 5.0)}, 5.0, 1000.0) == (Search(says),)
    assert dialling({found: (count, 7.5)}, 5.0, 1000.0) == (Search(says, 1002.5),)
