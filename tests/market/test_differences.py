"""What an update changed, with the values of before."""

from dataclasses import replace

import pytest

from betar_tui.market.differences import differing_fields
from tests.tui.fake import listing

OLD = listing(
    "ocr", 0.5, metadata={"description": "reads", "tier": "gold"}, description="reads", extra={"colour": "red"}
)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, {}),
        ({"timestamp": 9, "cid": "b", "height": 9, "seen_at": 9.0, "mine": True}, {}),
        ({"price": 1.0}, {"price": 0.5}),
        ({"name": "OCR", "addrs": ()}, {"name": "ocr", "addrs": list(OLD.addrs)}),
        (
            {"description": "scans", "metadata": {"description": "scans", "tier": "gold"}},
            {"description": "reads"},
        ),
        ({"metadata": {"description": "reads", "tier": "tin"}}, {"metadata": OLD.metadata}),
        ({"metadata": "bafyfile", "description": ""}, {"metadata": OLD.metadata}),
        ({"token_id": "7"}, {"token_id": None}),
        ({"extra": {"size": 3}}, {"colour": "red", "size": None}),
    ],
)
def test_fields_that_differ_and_their_old_values(changes, told):
    assert differing_fields(OLD, replace(OLD, **changes)) == told
