"""An edit that another device overtook: what only one side changed is kept, what both changed is asked."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.tui.form import FIELD_NAMES, begun_with, kept, pairs, typed
from betar_tui.tui.overtaking import SHOWN_LINES, SHOWN_TEXT, excerpts, merge
from betar_tui.tui.screens.dialogues import ConflictScreen
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.screens.publish import FormScreen
from tests.tui.fake import OWN, listing
from tests.tui.ui import Ui, ui

BASE = {**dict.fromkeys(FIELD_NAMES, ""), "name": "a", "price": "1", "metadata": "k = 1\nl = 2"}
FORMS = st.fixed_dictionaries({name: st.sampled_from(("", "x", "y")) for name in FIELD_NAMES if name != "metadata"})


def form(**texts: str) -> dict[str, str]:
    return {**BASE, **texts}


def test_what_one_side_changed_is_taken():
    merged = merge(BASE, form(description="mine"), form(price="2"))
    assert merged.values == form(description="mine", price="2")
    assert merged.conflicts == () and merged.taken == ("Price",)


def test_what_both_changed_alike_is_no_conflict():
    merged = merge(BASE, form(price="2"), form(price="2"))
    assert (merged.values, merged.conflicts, merged.taken) == (form(price="2"), (), ())


def test_what_both_changed_is_asked():
    merged = merge(BASE, form(description="mine"), form(description="theirs"))
    assert merged.values == form(description="mine")
    assert [(each.name, each.mine, each.theirs) for each in merged.conflicts] == [("description", "mine", "theirs")]


@pytest.mark.parametrize(
    ("mine", "theirs", "both"),
    [
        ("k = 9\nl = 2", "k = 1\nl = 8", {"k": "9", "l": "8"}),
        ("k = 1\nl = 2\nm = 3", "k = 1\nl = 2\nn = 4", {"k": "1", "l": "2", "m": "3", "n": "4"}),
        ("k = 9\nl = 2", "k = 9\nl = 8", {"k": "9", "l": "8"}),
        ("k = 9\nl = 2", "k = 8\nl = 2", None),
    ],
)
def test_metadata_is_merged_key_by_key(mine, theirs, both):
    merged = merge(BASE, form(metadata=mine), form(metadata=theirs))
    assert bool(merged.conflicts) is (both is None)
    if both is not None:
        assert pairs(merged.values["metadata"]) == both


@given(FORMS, FORMS, FORMS)
def test_no_text_is_lost_without_a_word(base, mine, theirs):
    base, mine, theirs = form(**base), form(**mine), form(**theirs)
    merged = merge(base, mine, theirs)
    asked = {each.name for each in merged.conflicts}
    for name in FIELD_NAMES:
        if mine[name] != base[name]:
            assert merged.values[name] == mine[name]
            assert (name in asked) is (theirs[name] not in (base[name], mine[name]))
        else:
            assert merged.values[name] == theirs[name] and name not in asked


@pytest.mark.parametrize(
    ("mine", "theirs", "shown"),
    [
        ("a", "b", ("a", "b")),
        ("", "b", ("(nothing)", "b")),
        (
            "alike\n" * 9 + "mine",
            "alike\n" * 9 + "theirs",
            ("… after 9 lines that both have\nmine", "… after 9 lines that both have\ntheirs"),
        ),
        ("x" * 400 + "1", "x" * 400 + "2", (f"…{'x' * 40}1", f"…{'x' * 40}2")),
        ("1" + "x" * 400, "2\n" * 7 + "2", ("1" + "x" * 319 + "…", "2\n2\n2\n2\n2\n… and 3 lines more")),
        (
            "a\nb",
            "a b",
            tuple(f"{each}\n(the texts differ in spaces and line breaks alone)" for each in ("a\nb", "a b")),
        ),
    ],
)
def test_of_two_texts_the_part_with_the_first_difference_is_shown(mine, theirs, shown):
    assert excerpts(mine, theirs) == shown


@given(
    st.text("ab\n", max_size=12),
    st.integers(0, 400),
    st.text("ab\n", max_size=400),
    st.text("ab\n", max_size=400),
    st.text("ab\n", max_size=12),
)
def test_two_texts_are_never_shown_alike(unit, times, mine, theirs, end):
    mine, theirs = unit * times + mine + end, unit * times + theirs + end
    shown = excerpts(mine, theirs)
    if mine.split() != theirs.split():
        assert shown[0] != shown[1]
    assert all(len(each) < SHOWN_TEXT + 120 and each.count("\n") <= SHOWN_LINES + 3 for each in shown)


# In the form


def items():
    return [listing("calm-geo", 1.5, mine=True, description="Places", metadata={"tier": "gold"})]


MINE = f"{OWN}/calm-geo"


async def overtaken(ui: Ui, **changes: object) -> None:
    """Begin to edit, and change the listing from elsewhere meanwhile."""
    await ui.press("5", "e")
    ui.one("#field-description").text = "Mine"
    ui.market.put(replace(ui.market.store[MINE], **changes))
    await ui.sees("! changed on another device meanwhile")


@ui(listings=items, size=(120, 36))
async def test_another_field_is_kept_and_said(ui):
    await overtaken(ui, price=2.5)
    await ui.press("f2")
    await ui.until(lambda: not isinstance(ui.app.screen, FormScreen))
    _, patch = dict(ui.market.calls)["update"]
    assert (patch.description, patch.price) == ("Mine", None)
    await ui.until(lambda: "Changed on another device meanwhile, and kept: price" in ui.toasts)


@ui(listings=items, size=(120, 36))
async def test_of_the_same_field_both_texts_are_shown_and_one_is_chosen(ui):
    await overtaken(ui, description="Theirs")
    await ui.press("f2")
    await ui.until(lambda: isinstance(ui.app.screen, ConflictScreen))
    await ui.sees("Description: changed on another device while you edited", "Theirs", "Mine")
    assert "update" not in dict(ui.market.calls)
    await ui.press("m")
    await ui.until(lambda: "update" in dict(ui.market.calls))
    _, patch = dict(ui.market.calls)["update"]
    assert patch.description == "Mine"


@ui(listings=items, size=(120, 36))
async def test_theirs_may_be_kept(ui):
    await overtaken(ui, description="Theirs")
    await ui.press("f2")
    await ui.until(lambda: isinstance(ui.app.screen, ConflictScreen))
    await ui.click_text("Keep theirs (t)")
    await ui.until(lambda: "The listing stays as the other device has made it" in ui.toasts)
    assert "update" not in dict(ui.market.calls)
    assert not isinstance(ui.app.screen, FormScreen)


def from_before(**changes: object) -> dict[str, object]:
    """An app with a draft of an earlier run, and the listing as another device has made it since."""
    drafts = {MINE: {"description": "Mine", "description before": "Places"}}
    return {"listings": lambda: [replace(items()[0], **changes)], "drafts": lambda: drafts, "size": (120, 36)}


@ui(**from_before(description="Theirs"))
async def test_a_draft_from_before_the_change_asks_too(ui):
    await ui.press("e")
    await ui.sees("your draft is back", "! changed on another device meanwhile")
    assert ui.one("#field-description").text == "Mine"
    await ui.press("f2")
    await ui.until(lambda: isinstance(ui.app.screen, ConflictScreen))
    await ui.sees("Theirs", "Mine")
    assert "update" not in dict(ui.market.calls)
    await ui.press("m")
    await ui.until(lambda: "update" in dict(ui.market.calls))
    _, patch = dict(ui.market.calls)["update"]
    assert patch.description == "Mine"


@ui(**from_before(description="Theirs"))
async def test_a_draft_from_before_the_change_can_be_thrown_away(ui):
    await ui.press("e")
    await ui.click_text("Start over")
    await ui.press("y")
    assert ui.one("#field-description").text == "Theirs"
    await ui.misses("your draft is back")
    await ui.misses("changed on another device")
    await ui.press("f2")
    await ui.sees("nothing is changed")


@ui(**from_before(price=2.5))
async def test_a_draft_of_another_field_is_sent_at_once(ui):
    await ui.press("e")
    await ui.sees("your draft is back")
    await ui.misses("changed on another device")
    await ui.press("f2")
    await ui.until(lambda: "update" in dict(ui.market.calls))
    _, patch = dict(ui.market.calls)["update"]
    assert (patch.description, patch.price) == ("Mine", None)


@ui(listings=items, drafts=lambda: {MINE: {"description": "Mine"}}, size=(120, 36))
async def test_a_draft_of_an_older_version_is_still_read(ui):
    await ui.press("e")
    await ui.sees("your draft is back")
    assert ui.one("#field-description").text == "Mine"


@given(FORMS, FORMS)
def test_a_draft_knows_what_was_typed_and_what_that_replaced(before, values):
    before, values = form(**before), form(**values)
    draft = kept(values, before, edit=True)
    assert {**before, **typed(draft)} == values
    assert begun_with(draft) == {name: before[name] for name in FIELD_NAMES if before[name] != values[name]}
    assert kept(values, before, edit=False) == typed(draft)


@ui(listings=items, size=(80, 24))
async def test_texts_that_differ_late_are_not_shown_alike(ui):
    start = "alike\n" * 40
    await ui.press("5", "e")
    ui.one("#field-description").text = f"{start}this is mine"
    ui.market.put(replace(ui.market.store[MINE], description=f"{start}this is theirs"))
    await ui.sees("! changed on another device meanwhile")
    await ui.press("f2")
    await ui.sees("after 40 lines that both have", "this is mine", "this is theirs", "Keep theirs (t)")


@ui(listings=items, size=(80, 24))
async def test_the_way_back_changes_nothing(ui):
    await overtaken(ui, description="Theirs")
    await ui.press("f2")
    await ui.until(lambda: isinstance(ui.app.screen, ConflictScreen))
    await ui.press("enter")
    await ui.sees("not saved yet")
    assert isinstance(ui.app.screen, FormScreen) and not isinstance(ui.app.screen, MainScreen)
    assert ui.one("#field-description").text == "Mine"
    assert "update" not in dict(ui.market.calls)
