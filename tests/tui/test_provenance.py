"""Who speaks for a listing: what the interface says of signatures, of other peers' removals, and of what is no peer id."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from betar_tui.market.history import version_changes
from betar_tui.market.marketplace import ChangeKind, Difference, Provenance, Version
from betar_tui.market.names import is_peer_id
from betar_tui.market.story import Voice
from betar_tui.output import seller_of, state_of
from betar_tui.tui import format as fmt
from betar_tui.tui import provenance
from betar_tui.tui.widgets.cells import cells
from betar_tui.tui.widgets.columns import Layout
from betar_tui.tui.widgets.detail import DetailView
from tests.tui.fake import NOW, OWN, listing, peer_id, short
from tests.tui.market import LOOKALIKE, disputed
from tests.tui.scenes import contested
from tests.tui.ui import NEVER, ui

STRANGE = st.one_of(st.text(max_size=70), st.sampled_from((LOOKALIKE, "you", "", peer_id(1)[:-1], short(1))))


@given(STRANGE)
def test_what_is_no_peer_id_cannot_look_like_one(text):
    shown = fmt.short_id(text, OWN)
    if is_peer_id(text):
        assert shown == f"{text[:4]}…{text[8:16]}"
    else:
        assert shown.startswith("✗ ") and len(shown) <= fmt.SHORT_ID


def test_short_forms():
    assert (fmt.short_id(OWN, OWN), fmt.short_id(OWN)) == ("you", short(0))
    assert fmt.short_id(peer_id(1)) == f"12D3…{peer_id(1)[8:16]}"
    assert fmt.short_id(LOOKALIKE) == f'✗ "{LOOKALIKE[:8]}…"'
    assert (fmt.short_id("you", OWN), fmt.short_id("", OWN)) == ('✗ "you"', "✗ no seller")


def state_cell(item, mark=None, width=79):
    row = "".join(text for text, _ in cells(item, mark, NOW, OWN, width, Layout()))
    return row.rstrip().rpartition("  ")[2]


def test_the_state_says_how_the_map_differs():
    states = {each.name: state_cell(each) for each in disputed()}
    assert states == {
        "amber-undisputed": "✓",
        "brisk-removed": "! removed",
        "calm-replaced": "! replaced",
        "deft-unsigned": "· unsigned",
        "eager-lookalike": "· unsigned",
        "fleet-you": "· unsigned",
        "lucid-mine": "! removed",
        "mellow-nobody": "· unsigned",
    }
    assert state_cell(listing("a", provenance=Provenance.INVALID, mine=True)) == "✗ invalid"


def test_the_words_are_those_of_the_command_line():
    for item in disputed():
        assert provenance.DIFFERENCES[item.difference] in state_of(item)
        if not item.seller_is_peer:
            assert provenance.seller(item)[0] == f"✗ {seller_of(item)}".removesuffix(": ")
    assert set(provenance.DIFFERENCES) == set(Difference)
    assert set(provenance._VOICES) <= set(Voice)


@pytest.mark.parametrize(
    ("voice", "removed", "words"),
    [
        (Voice.SELLER, False, "✓ signed by its seller"),
        (Voice.SELLER, True, "✓ was signed by its seller"),
        (Voice.NOBODY, False, "· unsigned"),
        (Voice.NOBODY, True, "· unsigned"),
        (Voice.WITHDRAWN, True, "✓ withdrawn by its seller"),
        (Voice.ANOTHER, False, "✗ wrongly signed, or by another"),
        (Voice.JUNK, True, "✗ was not a listing"),
        (Voice.UNTOLD, True, ""),
    ],
)
def test_who_put_a_version(voice, removed, words):
    assert provenance.voice(voice, removed)[0] == words


def test_the_changes_of_a_version_keep_its_voice():
    changes = version_changes([Version("b", 2, None, Voice.NOBODY), Version("a", 1, "{}", Voice.SELLER)])
    assert [(each.voice, each.removed) for each in changes] == [("unsigned", True), ("signed by its seller", False)]


@given(st.lists(st.text(max_size=400), max_size=40))
def test_a_story_is_short_and_safe(sentences):
    told = provenance.story(sentences)
    assert len(told) <= provenance.MAX_SENTENCES
    assert not any("\x1b" in each or "\n" in each or each == "." for each in told)


@ui(listings=disputed, prepare=contested)
async def test_the_table_marks_what_is_no_peer_id(ui):
    await ui.sees("NAME▲", "PRICE", "SELLER", "SEEN", "STATE")
    line = {item.name: next(each for each in ui.lines if item.name in each) for item in disputed()}
    assert all(each in line["amber-undisputed"] for each in ("0.02", short(1), "10m", "✓"))
    assert f'✗ "{LOOKALIKE[:8]}…"' in line["eager-lookalike"]
    assert all(cell_len(each.rstrip()) <= 80 for each in ui.lines)
    assert '✗ "you" ' in line["fleet-you"] and "✗ no seller " in line["mellow-nobody"]
    assert " you " in line["lucid-mine"] and "✗" not in line["lucid-mine"]


@ui(size=(120, 36), listings=disputed, prepare=contested)
async def test_all_columns_have_room_beside_the_detail(ui):
    await ui.sees("! removed", "! replaced", "NAME▲", "PRICE", "SELLER", "SEEN", "STATE")
    await ui.pilot.resize_terminal(140, 36)
    await ui.sees("DESCRIPTION", "Taken away by a stran…")
    assert "›" not in ui.text


@ui(listings=disputed, prepare=contested)
async def test_a_listing_in_full_tells_its_story(ui):
    await ui.press("down", "down", "enter")
    await ui.sees("✓ signed by its seller", "! replaced by another peer; this is what its seller signed last")
    await ui.until(lambda: "Story" in ui.one(DetailView).query_one(".detail-story").content.plain)
    await ui.press("end")
    await ui.sees(
        "Replaced by another peer; this is what its seller signed last.",
        "Withdrawn by its seller on 2026-11-21 23:33 UTC, and offered again since.",
        "4 versions: 3 signed by its seller, 1 unsigned.",
    )
    await ui.sees("✓ signed by its seller", "✓ was signed by its seller", "· unsigned")
    text = ui.text
    assert text.index("Story") < text.index("History")
    await ui.press("J")
    await ui.sees("As stored")
    assert not ui.one(DetailView).query_one(".detail-story").display


@ui(listings=disputed)
async def test_a_listing_in_full_says_no_peer_id(ui):
    await ui.press(*["down"] * 4, "enter")
    await ui.sees(f"✗ no peer id: {LOOKALIKE[:40]}")
    await ui.press("end")
    await ui.sees("What it names as its seller is no peer id, and could be anybody.")


@ui(listings=disputed, settle=NEVER)
async def test_a_difference_that_comes_flashes_in_its_cell_and_is_news(ui):
    item = ui.market.store[f"{peer_id(1)}/amber-undisputed"]
    ui.market.put(replace(item, difference=Difference.REMOVED), kind=ChangeKind.UPDATE)
    await ui.sees(f"amber-undisputed  by {short(1)}  removed by another")
    mark = ui.app.model.mark(item.id)
    assert (mark.sign, mark.columns) == ("~", frozenset(("state",)))
    spans = cells(ui.app.model.listing(item.id), mark, NOW, OWN, 79, Layout())
    assert [text.rstrip() for text, style in spans if "flash" in style] == ["! removed"]
    ui.market.put(replace(item, difference=Difference.NONE), kind=ChangeKind.UPDATE)
    await ui.until(lambda: ui.app.model.listing(item.id).difference is Difference.NONE)
    assert ui.app.model.mark(item.id).columns == {"state"}


@ui(listings=disputed)
async def test_the_activity_names_what_is_no_peer_id(ui):
    ui.market.put(replace(ui.market.store["you/fleet-you"], price=0.8))
    await ui.press("3")
    await ui.sees('fleet-you  by ✗ "you", no peer id  price 0.9 → 0.8')
