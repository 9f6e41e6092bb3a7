"""Which listing a person means: by its id, the beginning of one, the short form that tables show, or its name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from betar_tui.errors import UnknownListingError
from betar_tui.market.marketplace import Listing, Marketplace
from betar_tui.market.names import name_space, short_form

if TYPE_CHECKING:
    from betar_tui.stored import StoredMarket

MAX_LOOKED_AT = 1000
"""Maximum listings that are looked at to find those whose id begins as the text does."""
MAX_NAMED = 3
"""Maximum listings that a message names."""


async def listing_id(market: "Marketplace | StoredMarket", text: str) -> str:
    """The id of the listing that is meant; the text itself where nothing fits, of which the market says what is wrong.

    In this order: a whole id, the whole name of an own listing, and what one listing alone fits. Raises
    UnknownListingError where several fit."""
    if not text or name_space(text) or await market.find([text]):
        return text
    own = await _found(market, f"state:mine name:{_quoted(text)}")
    if named := [each.id for each in own if each.name == text]:
        return named[0]
    short = abbreviated(text)
    others = await _found(market, _query(short))
    fitting = list(dict.fromkeys(each.id for each in (*own, *others) if _fits(each, text, short)))
    whole = [each for each in fitting if abbreviated(short_id(each)) == short]
    if len(fitting) > 1 and len(whole) != 1:
        names = ", ".join(short_id(each) for each in fitting[:MAX_NAMED])
        more = f" and {len(fitting) - MAX_NAMED:,} more" if len(fitting) > MAX_NAMED else ""
        raise UnknownListingError(f"{text[:80]!r} fits more than one listing: {names}{more}; give more letters")
    return next(iter(whole or fitting), text)


def short_id(listing_id: str) -> str:
    """The id of a listing as tables show it, with its seller's in the short form."""
    owner = name_space(listing_id)
    return short_form(owner) + listing_id[len(owner) :] if owner else listing_id


def abbreviated(text: str) -> str:
    """An id as it was given: a terminal without the letter "…" shows three points."""
    return text.replace("...", "…")


async def _found(market: "Marketplace | StoredMarket", query: str) -> Sequence[Listing]:
    """The listings that match a query; what has nothing to look for is found among none."""
    return () if query.endswith('""') else (await market.listings(query, "", MAX_LOOKED_AT)).listings


def _query(text: str) -> str:
    """The filter for the listings that a text may mean: few of a large market."""
    if "…" not in text or text.startswith("…"):
        return f"id:{_quoted(_first(text.removeprefix('…')))}"
    seller, slash, name = text.removesuffix("…").partition("/")
    return f"seller:{_quoted(seller)}" + (f" name:{_quoted(_first(name))}" if _first(name) else "")


def _first(text: str) -> str:
    """What stands before "…", for which there may be three points in a name."""
    return text.partition("…")[0]


def _quoted(text: str) -> str:
    """A text as a value of a filter, which has no quotation marks in it: what stands before the first one."""
    return f'"{text.partition(chr(34))[0]}"'


def _fits(listing: Listing, text: str, short: str) -> bool:
    """Whether the text is the beginning of the id or of the name of an own listing, or `short`, which is it with "…" for
    three points, the beginning of the id's short form or, behind "…", the id's end."""
    if listing.id.startswith(text) or (listing.mine and listing.name.startswith(text)):
        return True
    if short.startswith("…"):
        return len(short) > 1 and abbreviated(listing.id).endswith(short[1:])
    return "…" in short and abbreviated(short_id(listing.id)).startswith(short.removesuffix("…"))
