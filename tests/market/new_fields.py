"""A program that adds fields to the table and to the dataclasses, and takes them through the codecs, the form and the
command line. `test_fields` runs it in a process of its own, because the other modules read the table when imported."""

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from betar_tui.market import fields, marketplace
from betar_tui.market.fields import Field, Kind, Option

NEW = (
    Field("licence", default="", in_metadata=True, label="Licence", option=Option("--licence", "L", "its licence")),
    Field("stars", Kind.INTEGER, in_metadata=True, label="Stars", option=Option("--stars", "N", "its stars")),
    Field("discount", Kind.NUMBER, label="Discount", option=Option("--discount", "D", "a discount"), detail="Discount"),
    Field("seats", Kind.INTEGER, betar_go="seatCount", label="Seats", option=Option("--seats", "N", "its seats")),
)
fields.FIELDS += NEW
fields.STORED = tuple(each for each in fields.FIELDS if not each.in_metadata)
fields.IN_METADATA = tuple(each for each in fields.FIELDS if each.in_metadata)
fields.OWN_KEYS = frozenset(each.name for each in fields.IN_METADATA)
fields.ENTERED = tuple(each for each in fields.FIELDS if each.option)


@dataclass(frozen=True, slots=True)
class Listing(marketplace.Listing):
    licence: str = ""
    stars: int | None = None
    discount: float | None = None
    seats: int | None = None


@dataclass(frozen=True, slots=True)
class ListingDraft(marketplace.ListingDraft):
    licence: str = ""
    stars: int | None = None
    discount: float | None = None
    seats: int | None = None


@dataclass(frozen=True, slots=True)
class ListingPatch(marketplace.ListingPatch):
    licence: str | None = None
    stars: int | None = None
    discount: float | None = None
    seats: int | None = None


for kind in (Listing, ListingDraft, ListingPatch):
    setattr(marketplace, kind.__name__, kind)

# Only now: these modules read the table.
from betar_tui import arguments  # noqa: E402
from betar_tui.catalogue.projecting import Projected, project  # noqa: E402
from betar_tui.drafts import drafts_in, drafts_of  # noqa: E402
from betar_tui.errors import ListingError  # noqa: E402
from betar_tui.market import compose  # noqa: E402
from betar_tui.market.own import adopted_listing  # noqa: E402
from betar_tui.tui import form  # noqa: E402
from betar_tui.tui.widgets import detail  # noqa: E402
from tests.market.values import ADDRS, NOW, SIGNER, key, winner  # noqa: E402

NAMES = [field.name for field in NEW]
ABSENT: dict[str, Any] = {"licence": "", "stars": None, "discount": None, "seats": None}
GIVEN: dict[str, Any] = {"licence": "MIT", "stars": 4, "discount": 0.25, "seats": 0}


def attributes(of: object) -> dict[str, Any]:
    return {name: getattr(of, name) for name in NAMES}


def read(document: compose.Document, dialect: str) -> Listing:
    """The listing that others read, with its metadata file where it has one."""
    rendered = compose.render(document, dialect, SIGNER, NOW, ADDRS)
    files = dict([rendered.file] if rendered.file else [])
    made = project(key(), winner(rendered.value), 0.0, "another", files.get)
    assert isinstance(made, Projected), made
    if files:
        bare = project(key(), winner(rendered.value), 0.0, "another", lambda cid: None)
        assert isinstance(bare, Projected) and attributes(bare.listing)["licence"] == ""
    listing = made.listing
    assert isinstance(listing, Listing)
    return listing


def codecs() -> None:
    for dialect in (fields.DOCUMENTS, fields.BETAR_GO):
        for values in (GIVEN, ABSENT):
            document = compose.new_document(ListingDraft(name="swift-ocr", price=1, **values), SIGNER.peer_id, ADDRS)
            listing = read(document, dialect)
            assert attributes(listing) == values and not listing.extra, (dialect, listing)
            changed = read(compose.patched(document, ListingPatch(stars=5, discount=0.5)), dialect)
            assert attributes(changed) == {**values, "stars": 5, "discount": 0.5}
    spoilt = {**document, "metadata": {"licence": 7, "stars": "many", "description": []}}
    assert attributes(read(spoilt, fields.DOCUMENTS)) == ABSENT
    adopted = adopted_listing(replace(listing, discount=0.75), {"stars": 3}).document
    assert (adopted["discount"], adopted["metadata"]) == (0.75, {"stars": 3}) and "seats" not in adopted


def the_form() -> None:
    listing = read(
        compose.new_document(ListingDraft(name="swift-ocr", price=1, **GIVEN), SIGNER.peer_id, ADDRS), fields.DOCUMENTS
    )
    before = form.of_listing(listing)
    assert [before[name] for name in NAMES] == ["MIT", "4", "0.25", "0"] and before["metadata"] == ""
    changes = form.patch({**before, "stars": "5", "discount": ""}, before)
    assert changes is not None and attributes(changes) == {**dict.fromkeys(NAMES), "stars": 5}
    assert form.of_listing(replace(listing, **ABSENT))["discount"] == ""
    blank = form.blank(None)
    values = {**blank, "name": "swift-ocr", "price": "1"}
    assert form.problems(values) == {} and attributes(form.draft(values, blank)) == ABSENT
    entered = {**values, "licence": "MIT", "stars": "4", "discount": ".25", "seats": "0"}
    assert form.problems(entered) == {} and attributes(form.draft(entered, blank)) == GIVEN
    wrong = form.problems({**blank, "name": "swift-ocr", "discount": "x", "seats": "1.5"})
    assert (
        list(wrong) == ["price", "discount", "seats"] and wrong["price"] == "a listing needs a price in USDC; 0 is free"
    )
    shown = detail._more(replace(listing, discount=0.0), 80).plain
    assert "Discount" in shown and "0.0" in shown


def command_line(path: Path) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    arguments.COMMANDS["publish"].arguments(parser)
    line = ["--name=swift-ocr", "--price=1"]
    options = ["--licence=MIT", "--stars=4", "--discount=0.25", "--seats=0"]
    assert attributes(*drafts_of(parser.parse_args(line + options))) == GIVEN
    assert attributes(*drafts_of(parser.parse_args(line))) == ABSENT
    for wrong, message in (("--seats=1.5", "invalid seats value"), ("--discount=x", "invalid discount value")):
        try:
            parser.parse_args([*line, wrong])
        except argparse.ArgumentError as error:
            assert message in str(error)
        else:
            raise AssertionError(wrong)
    entry = {"name": "swift-ocr", "price": 1}
    for values in (GIVEN, ABSENT):
        path.write_text(json.dumps({**entry, **values}))
        assert attributes(*drafts_of(argparse.Namespace(file=path, name=None, price=None))) == values
    path.write_text(json.dumps({**entry, "seats": 1.5}))
    try:
        drafts_in(path)
    except ListingError as error:
        assert error.field == "seats"
    else:
        raise AssertionError("seats")


if __name__ == "__main__":
    codecs()
    the_form()
    command_line(Path(sys.argv[1]))
