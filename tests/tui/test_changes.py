"""What an update changed, in words."""

from dataclasses import replace

import pytest

from betar_tui.tui.changes import changes_of
from tests.tui.fake import listing

OLD = listing("calm-geo", 0.05, 1, description="Places", metadata={"tier": "gold", "lang": "en"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"timestamp": 9, "seen_at": 9.0, "cid": "c", "height": 9}, []),
        ({"price": 0.07}, ["price 0.05 → 0.07"]),
        ({"description": "Better"}, ["description changed"]),
        ({"description": ""}, ["description taken out"]),
        ({"name": "calmer\u202e"}, ["name calm-geo → calmer\\u202e"]),
        ({"metadata": {"tier": "silver", "lang": "en", "description": "x"}}, ["metadata changed (tier)"]),
        ({"metadata": {}}, ["metadata changed (tier, lang)"]),
        ({"metadata": {str(n): n for n in range(4)}}, ["metadata changed (tier, lang, 0 and 3 more)"]),
        ({"metadata": {"tier": "gold", "lang": "en", "tags": ["geo"]}, "tags": ("geo",)}, ["tags added"]),
        ({"metadata": {"tier": "gold", "lang": "en", "tags": "geo"}}, ["metadata changed (tags)"]),
        ({"metadata": "bafy"}, ["metadata changed"]),
        ({"metadata": "bafy", "tags": ("geo",)}, ["tags added"]),
        ({"metadata": "bafy", "description": "x"}, ["description changed"]),
        ({"addrs": ()}, ["addresses taken out"]),
        ({"token_id": "7"}, ["token id added"]),
        ({"price": 1.0, "protocols": ("/x/1",)}, ["price 0.05 → 1", "protocols"]),
    ],
)
def test_what_an_update_changed(changes, words):
    found = changes_of(OLD, replace(OLD, **changes))
    assert len(found) == len(words)
    assert all(each.startswith(word) for each, word in zip(found, words, strict=True)), found
