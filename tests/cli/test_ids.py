"""Which listing is meant: an own name, a unique beginning, the short form that tables show."""

from __future__ import annotations

import json

import pytest

from betar_tui import naming
from betar_tui.cli import main
from betar_tui.errors import UnknownListingError
from betar_tui.naming import listing_id, named_in_full, short_id
from tests.tui.fake import FakeMarketplace, listing, peer_id

OWN, OTHER = peer_id(1), peer_id(2)


def market() -> FakeMarketplace:
    own = [listing(name, id=f"{OWN}/{name}", seller_id=OWN, mine=True) for name in ("ocr", "ocr-2", 'a "b" c')]
    others = [listing(name, id=f"{OTHER}/{name}", seller_id=OTHER) for name in ("ocr", "tts")]
    return FakeMarketplace([*own, *others, listing("go", id="did:key:z6MkGo", seller_id=OTHER)])


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("ocr", f"{OWN}/ocr"),  # an own name, although others have it and another begins so
        ("ocr-", f"{OWN}/ocr-2"),
        (f"{OTHER}/tts", f"{OTHER}/tts"),
        (f"{OTHER}/t", f"{OTHER}/tts"),  # the beginning of a name behind the whole id of its seller
        (f"{OTHER}/x", f"{OTHER}/x"),  # a whole id, of which the market says that it is unknown
        (f"{short_id(f'{OTHER}/tts')}", f"{OTHER}/tts"),
        (f"{short_id(f'{OTHER}/tts')}".replace("…", "..."), f"{OTHER}/tts"),
        (f"{short_id(f'{OTHER}/tts')[:-1]}…", f"{OTHER}/tts"),
        (f"{short_id(f'{OWN}/ocr')}", f"{OWN}/ocr"),  # not the other that begins so
        ("…/tts", f"{OTHER}/tts"),
        ("...ts", f"{OTHER}/tts"),
        (f"…{OWN[-5:]}/ocr", f"{OWN}/ocr"),
        ("did:key", "did:key:z6MkGo"),
        ('a "b" c', f'{OWN}/a "b" c'),
        ("tts", f"{OTHER}/tts"),  # the name of somebody else's
        ("tt", f"{OTHER}/tts"),  # and the beginning of it
        ("tt-", "tt-"),
        ("TTS", "TTS"),
        ("", ""),
        ('"', '"'),
        ("…", "…"),
    ],
)
async def test_what_is_meant(text, meant):
    assert await listing_id(market(), text) == meant


DOTTED = [listing(name, id=f"{OWN}/{name}", seller_id=OWN, mine=True) for name in ("wait...what", "wait…now")]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("wait...what", "wait...what"),
        ("wait...", "wait...what"),
        ("wait…now", "wait…now"),
        ("wait…", "wait…now"),
        (short_id(f"{OWN}/wait...what"), "wait...what"),
        (short_id(f"{OWN}/wait...what").replace("…", "..."), "wait...what"),
        ("...what", "wait...what"),
    ],
)
async def test_points_in_a_name_are_points(text, meant):
    assert await listing_id(FakeMarketplace(DOTTED), text) == f"{OWN}/{meant}"


def of_two() -> FakeMarketplace:
    """A name that two others have, and another that begins as an own one does."""
    others = [listing("tts", id=f"{peer_id(n)}/tts", seller_id=peer_id(n)) for n in (2, 3)]
    own = listing("ocr-2", id=f"{OWN}/ocr-2", seller_id=OWN, mine=True)
    return FakeMarketplace([*others, own, listing("ocr", id=f"{OTHER}/ocr", seller_id=OTHER)])


async def test_a_name_that_several_others_have_names_their_ids():
    with pytest.raises(UnknownListingError) as caught:
        await listing_id(of_two(), "tts")
    assert str(caught.value) == (
        f"'tts' fits more than one listing: {short_id(f'{peer_id(2)}/tts')}, {short_id(f'{peer_id(3)}/tts')};"
        " give one of these ids"
    )
    for n in (2, 3):
        assert await listing_id(of_two(), short_id(f"{peer_id(n)}/tts")) == f"{peer_id(n)}/tts"


async def test_the_beginning_of_a_name_is_that_of_an_own_listing_first():
    three = [listing(name, id=f"{peer_id(n)}/{n}", seller_id=peer_id(n)) for n, name in ((2, "thing"), (3, "thimble"))]
    assert await listing_id(FakeMarketplace(three), "thin") == f"{peer_id(2)}/2"
    with pytest.raises(UnknownListingError, match="'thi' fits more than one listing"):
        await listing_id(FakeMarketplace(three), "thi")
    own = listing("third", id=f"{OWN}/third", seller_id=OWN, mine=True)
    for change in (False, True):
        assert await listing_id(FakeMarketplace([*three, own]), "thi", own=change) == f"{OWN}/third"
        assert await listing_id(FakeMarketplace([*three, own]), "thin", own=change) == f"{peer_id(2)}/2"


async def test_who_changes_a_listing_means_an_own_one_first():
    assert await listing_id(of_two(), "ocr") == f"{OTHER}/ocr"
    assert await listing_id(of_two(), "ocr", own=True) == f"{OWN}/ocr-2"
    assert await listing_id(market(), "tts", own=True) == f"{OTHER}/tts"  # the market says that only its seller can


async def test_who_changes_a_listing_by_its_whole_id_means_that_alone():
    for text in (f"{OWN}/oc", f"{OWN}/ocr-", f"{OWN}/t"):
        assert await listing_id(market(), text, own=True) == text
    with pytest.raises(UnknownListingError, match="fits more than one listing"):
        await listing_id(market(), f"{OWN}/oc")


@pytest.mark.parametrize(
    ("text", "full"),
    [
        (f"{OTHER}/tts", True),
        (short_id(f"{OTHER}/tts"), True),
        (short_id(f"{OTHER}/tts").replace("…", "..."), True),
        ("renamed", True),
        ("tts", False),
        ("rename", False),
        (OTHER, False),
        (f"{OTHER}/tt", False),
    ],
)
def test_what_names_a_listing_in_full(text, full):
    assert named_in_full(listing("renamed", id=f"{OTHER}/tts"), text) == full


async def test_a_name_that_several_own_listings_have_is_none_of_them():
    two = [listing("same", id=f"{OWN}/{name}", seller_id=OWN, mine=True) for name in ("one", "two")]
    for own in (False, True):
        with pytest.raises(UnknownListingError, match="'same' fits more than one listing: .*; give one of these ids"):
            await listing_id(FakeMarketplace(two), "same", own=own)
    assert await listing_id(FakeMarketplace(two), f"{OWN}/two", own=True) == f"{OWN}/two"


async def test_a_name_is_found_behind_many_that_have_it_in_them(monkeypatch):
    monkeypatch.setattr(naming, "MAX_LOOKED_AT", 3)
    many = [listing(f"a-tts-{n}", id=f"{OTHER}/a-tts-{n}", seller_id=OTHER) for n in range(9)]
    assert await listing_id(FakeMarketplace([*many, listing("tts", id=f"{OTHER}/tts")]), "tts") == f"{OTHER}/tts"


async def test_several_are_named():
    with pytest.raises(UnknownListingError) as caught:
        await listing_id(market(), OWN[:30])
    assert str(caught.value).endswith("; give more letters")
    assert all(short_id(f"{OWN}/{name}") in str(caught.value) for name in ("ocr", "ocr-2"))


def test_commands_take_names_and_beginnings(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BETAR_TUI_DATA_DIR", str(tmp_path))

    def run(*arguments: str) -> object:
        assert main([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    made = [run("publish", "--name", name, "--price", "1") for name in ("swift-ocr", "fast-tts")]
    ids = [each["id"] for each in made]
    assert run("show", "swift-ocr")["id"] == run("show", "swi")["id"] == ids[0]
    assert run("update", "fast", "--price", "2")["id"] == ids[1]
    assert main(["delist", ids[0][:20]]) == 1
    assert "fits more than one listing" in capsys.readouterr().err
    assert run("delist", "fast-tts")["id"] == ids[1]
    assert run("delist", ids[0][:20])["id"] == ids[0]  # which alone is left


def test_listings_that_match_are_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BETAR_TUI_DATA_DIR", str(tmp_path / "data"))
    file = tmp_path / "many.json"
    file.write_text(json.dumps([{"name": f"n{n}", "price": n, "metadata": {"tier": "gold"}} for n in range(30)]))
    main(["publish", "--file", str(file)])
    capsys.readouterr()

    def last(*arguments: str) -> str:
        assert main(["list", *arguments]) == 0
        return capsys.readouterr().out.splitlines()[-1]

    assert last("price<10", "--limit", "2") == "2 of 10 that match, of 30 listings"
    assert last("price<10") == "10 of 10 that match, of 30 listings"
    assert last("--limit", "2") == "2 of 30 listings"
    assert last("gold").startswith(
        "words are looked for in name, description and seller; for metadata write tag:gold or"
    )
    assert last("tier=gold").endswith("for a key of the metadata write meta.tier:gold")
    assert last("meta.tier:gold", "--limit", "1") == "1 of 30 that match, of 30 listings"
    assert last("price>99") == "nothing matches, of 30 listings"
