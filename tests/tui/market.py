"""A small market that looks like a real one, for tests, pictures and the demo."""

from __future__ import annotations

from betar_tui.market.marketplace import Listing, Provenance
from tests.tui.fake import NOW, listing

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
