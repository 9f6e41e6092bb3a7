"""Which listing a person means: by its id, the beginning of one, the short form that tables show, or its name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from betar_tui.errors import UnknownListingError
from betar_tui.market.marketplace import Listing, Marketplace, Place
from betar_tui.market.names import name_space, short_form
from betar_tui.market.sorting import folded

if TYPE_CHECKING:
    from betar_tui.stored import StoredMarket

MAX_LOOKED_AT = 1000
"""Maximum listings that are looked at to find those whose id begins as the text does."""
MAX_NAMED = 3
"""Maximum listings that a message names."""


async def listing_id(market: "Marketplace | StoredMarket", text: str, *, own: bool = False) -> str:
    """The id of the listing that is meant; the text itself where nothing fits, of which the market says what is wrong.

    In this order: a whole id, the whole name of an own listing, that of another's, what one listing alone fits by its id or
    an own one by its name, and the beginning of the name of another's; where an `own` one has to be meant, the whole name
    of another's comes after what fits. Raises UnknownListingError where several fit.

    Behind a whole seller's id, the beginning of a name is enough to look at a listing. Who changes an `own` one has to write
    it in full there: a script that repeats itself must not change the next one that begins so."""
    owner = name_space(text)
    if not text or (owner and own) or await market.find([text]):
        return text
    if owner:
        begin_so = await _found(market, f"seller:{_quoted(owner)} id:{_quoted(text)}")
        return _only(text, [each.id for each in begin_so if each.id.startswith(text)]) or text
    mine = await _found(market, f"state:mine name:{_quoted(text)}")
    if named := [each.id for each in mine if each.name == text]:
        return _only(text, named)  # one may have been renamed to what another is called
    begin_so = await _beginning_so(market, text)
    whole_names = [each.id for each in begin_so if each.name == text]
    if not own and whole_names:
        return _only(text, whole_names)
    short = abbreviated(text)
    others = await _found(market, _query(short))
    fitting = list(dict.fromkeys(each.id for each in (*mine, *others) if _fits(each, text, short)))
    whole = [each for each in fitting if abbreviated(short_id(each)) == short]
    if len(fitting) > 1 and len(whole) != 1:
        raise _several(text, fitting, "give more letters")
    if found := whole or fitting:
        return found[0]
    return _only(text, whole_names or [each.id for each in begin_so]) or text


async def _beginning_so(market: "Marketplace | StoredMarket", text: str) -> Sequence[Listing]:
    """The listings whose names begin with a text, of all sellers."""
    query, column = f"name:{_quoted(text)}", folded(text)
    # Names that begin otherwise come before it, and there may be more of them than are looked at.
    found = await _found(market, query, Place(column, column, -1))
    return [each for each in found if each.name.startswith(text)]


def _only(text: str, ids: Sequence[str]) -> str:
    """The one of the ids, "" without any. Raises UnknownListingError where there are several."""
    if len(ids) > 1:
        raise _several(text, ids, "give one of these ids")
    return next(iter(ids), "")


def _several(text: str, ids: Sequence[str], advice: str) -> UnknownListingError:
    """The error about a text that may mean several listings."""
    names = ", ".join(short_id(each) for each in ids[:MAX_NAMED])
    more = f" and {len(ids) - MAX_NAMED:,} more" if len(ids) > MAX_NAMED else ""
    return UnknownListingError(f"{text[:80]!r} fits more than one listing: {names}{more}; {advice}")


def short_id(listing_id: str) -> str:
    """The id of a listing as tables show it, with its seller's in the short form."""
    owner = name_space(listing_id)
    return short_form(owner) + listing_id[len(owner) :] if owner else listing_id


def named_in_full(listing: Listing, text: str) -> bool:
    """Whether a text that means a listing is its id, the short form of that, or its whole name."""
    return text in (listing.id, listing.name) or abbreviated(text) == abbreviated(short_id(listing.id))


def abbreviated(text: str) -> str:
    """An id as it was given: a terminal without the letter "…" shows three points."""
    return text.replace("...", "…")


async def _found(market: "Marketplace | StoredMarket", query: str, after: Place | None = None) -> Sequence[Listing]:
    """The listings that match a query, in the order of their names those `after` a place; what has nothing to look for is
    found among none."""
    if query.endswith('""'):
        return ()
    return (await market.listings(query, "name" if after else "", MAX_LOOKED_AT, after=after)).listings


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
