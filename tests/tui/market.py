"""A small market that looks like a real one, for tests, pictures and the demo."""

from __future__ import annotations

from betar_tui.market.marketplace import Difference, Listing, Provenance
from tests.tui.fake import NOW, listing, peer_id

ADJECTIVES = ("amber", "brisk", "calm", "deft", "eager", "fleet", "lucid", "mellow", "nimble", "swift", "vivid")
TRADES = (
    ("ocr", "Reads scanned pages, tables and handwriting.\n\n- 40 languages\n- returns **Markdown** or JSON"),
    ("translate", "Translates between 24 languages and keeps the formatting."),
    ("summarise", "Three sentences of any text, with quotations to prove them."),
    ("geocode", "Turns addresses into coordinates, and back."),
    ("image-tag", "Names what is in a picture."),
    ("audit", "Reads Solidity and tells what may go wrong."),
    ("forecast", "Weather for the next ten days, hour by hour."),
)


def market(count: int = 40) -> list[Listing]:
    """`count` listings of several sellers, one of them ours."""
    result = []
    for number in range(count):
        adjective = ADJECTIVES[number % len(ADJECTIVES)]
        trade, description = TRADES[number % len(TRADES)]
        result.append(
            listing(
                f"{adjective}-{trade}-{number}",
                round(0.01 * ((number * 37) % 151 + 1), 2),
                number % 11 + 1,
                mine=number == 5,
                description=description,
                metadata={"description": description, "version": f"1.{number}", "currency": "USDC"},
                provenance=Provenance.UNSIGNED if number % 3 == 1 and number != 5 else Provenance.VERIFIED,
                seen=NOW - 7 * number - 3,
            )
        )
    return result


LOOKALIKE = peer_id(1)[:20] + "l" + peer_id(1)[21:]
"""A text that looks like a peer id; no id has the letter l."""


def disputed() -> list[Listing]:
    """A listing of each state of provenance, and some whose seller is no peer id."""
    return [
        listing("amber-undisputed", 0.02, 1, description="Nobody else has a say."),
        listing("brisk-removed", 0.5, 2, difference=Difference.REMOVED, description="Taken away by a stranger."),
        listing("calm-replaced", 1.5, 3, difference=Difference.REPLACED, description="Another put another."),
        listing("deft-unsigned", 0.3, 4, provenance=Provenance.UNSIGNED),
        listing("eager-lookalike", 0.02, provenance=Provenance.UNSIGNED, seller_id=LOOKALIKE, id=f"{LOOKALIKE}/eager"),
        listing("fleet-you", 0.9, provenance=Provenance.UNSIGNED, seller_id="you", id="you/fleet-you"),
        listing("lucid-mine", 2.5, mine=True, difference=Difference.REMOVED),
        listing("mellow-nobody", 0.1, provenance=Provenance.UNSIGNED, seller_id="", id="urn:mellow"),
    ]
