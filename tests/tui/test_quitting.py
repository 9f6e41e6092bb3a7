"""Leaving the app, or one listing; a peer that others use, that is gone, or that gives no sign of life; drafts."""

import json
from pathlib import Path

import pytest

from betar_tui.errors import ControlError, DraftError, StoreLockedError, UnansweredError
from betar_tui.tui.model import Mark, MarketModel
from betar_tui.tui.screens.quitting import QuitScreen
from betar_tui.unsent import keep_drafts, read_drafts
from tests.tui.fake import OWN, Clock, listing
from tests.tui.ui import Ui, ui


def three():
    return [listing(name, 0.05 * n) for n, name in enumerate(("amber-ocr", "lucid-ocr", "calm-geo"), 1)]


def ends(ui: Ui) -> bool:
    return ui.app._exit


@pytest.mark.parametrize("size", [(80, 24), (119, 30), (120, 30), (200, 50)])
def test_q_leaves_a_listing_at_every_width_and_then_the_app(size):
    @ui(size=size, listings=three)
    async def leave(ui):
        await ui.press("enter")
        await ui.until(lambda: ui.app.screen.query("DetailView"), "the listing")
        if ui.app.screen is ui.app._main:
            assert ui.app._main._pane == "detail"
        await ui.press("q")
        assert not ends(ui)
        await ui.until(lambda: ui.app.screen is ui.app._main, "the main screen")
        assert ui.app._main._pane == "listings"
        await ui.press("q")
        assert ends(ui)

    leave()


@ui(size=(120, 36), listings=three)
async def test_q_at_a_listing_that_fills_the_screen_brings_the_table_back(ui):
    await ui.press("enter", "z", "q")
    assert not ends(ui)
    assert not ui.app._main.has_class("-zoom")
    assert ui.app._main._pane == "listings"


@ui(listings=three, own_peer=lambda: True, others=lambda: 2)
async def test_quitting_asks_before_it_takes_the_peer_from_others(ui):
    await ui.press("q")
    await ui.sees("Quit, and stop the peer?", "2 other programs use the peer in this window", "They lose it")
    await ui.press("n")
    assert not ends(ui)
    await ui.press("ctrl+q")
    await ui.sees("Quit, and stop the peer?")
    await ui.press("y")
    assert ends(ui)


@ui(listings=three, own_peer=lambda: True, others=lambda: 1)
async def test_ctrl_q_twice_quits(ui):
    await ui.press("ctrl+q")
    await ui.until(lambda: isinstance(ui.app.screen, QuitScreen), "the question")
    await ui.press("ctrl+q")
    assert ends(ui)


@ui(listings=three, own_peer=lambda: False, others=lambda: 1)
async def test_quitting_asks_nothing_where_the_peer_is_another_process(ui):
    await ui.press("q")
    assert ends(ui)


def losable(**faults):
    """An app that is attached to a peer; `taken` counts how often it was asked to run one."""
    taken: list[Exception | None] = []

    async def take_over() -> None:
        taken.append(None)
        if error := faults.get("error"):
            raise error

    return taken, ui(listings=three, take_over=take_over)


def test_a_peer_that_is_gone_is_run_at_a_key():
    taken, attached = losable()

    @attached
    async def lose(ui):
        ui.market.fail["events"] = ControlError("the running peer went away")
        ui.market.break_stream()
        await ui.sees("✗ The peer is gone: o runs it in this window")
        await ui.press("n")
        await ui.type("swift-ocr")
        ui.market.fail["publish"] = ControlError("no peer runs")
        await ui.press("tab", "1", "f2")
        await ui.sees("the peer is gone: Esc keeps this as a draft, then o runs the peer")
        await ui.press("escape")
        ui.market.fail.clear()
        await ui.press("o")
        await ui.sees("● online")
        await ui.misses("The peer is gone")
        assert taken == [None]
        await ui.press("n")
        await ui.sees("your draft is back", "swift-ocr")

    lose()


def test_why_the_peer_cannot_run_here_is_said():
    _, attached = losable(error=StoreLockedError("the directory is in use by process 7"))

    @attached
    async def lose(ui):
        ui.market.fail["events"] = ControlError("the running peer went away")
        ui.market.break_stream()
        await ui.sees("The peer is gone")
        await ui.press("o")
        await ui.sees("The peer does not run here", "process 7")
        await ui.sees("The peer is gone: o runs it")

    lose()


def test_a_peer_that_gives_no_sign_of_life_is_not_run_twice():
    taken, attached = losable()

    @attached
    async def silent(ui):
        ui.market.fail.update(status=UnansweredError("the peer, process 7, does not answer"))
        ui.app.ask_status()
        await ui.sees("✗ The peer, process 7, does not answer")
        ui.market.fail.update(events=UnansweredError("the peer, process 7, does not answer"))
        ui.market.break_stream()
        await ui.sees("✗ lost the peer", "✗ The peer, process 7, does not answer")
        await ui.press("o")
        assert not taken
        ui.market.fail.clear()
        await ui.press("r")
        await ui.sees("● online")
        await ui.misses("does not answer")

    silent()


def kept(path: Path):
    return {"drafts": lambda: read_drafts(path), "keep_drafts": lambda changes: keep_drafts(path, changes)}


def test_what_was_typed_is_on_the_disk_and_offered_again(tmp_path):
    path = tmp_path / "drafts.json"

    @ui(listings=three, **kept(path))
    async def type_half(ui):
        await ui.press("n")
        await ui.type("swift-ocr")
        await ui.until(path.exists, "the draft")
        await ui.until(lambda: json.loads(path.read_text()) == {"": {"name": "swift-ocr"}}, "all of the name")
        await ui.type("-9")  # which the end of the app keeps

    @ui(listings=three, **kept(path))
    async def go_on(ui):
        await ui.sees("A draft of a new listing is kept: n goes on")
        await ui.press("n")
        await ui.sees("your draft is back", "swift-ocr-9", "/ip4/192.168.1.20/tcp/4001")
        await ui.press("tab")
        await ui.type("0.02")
        await ui.press("f2")
        await ui.until(lambda: ui.app.screen is ui.app._main, "the main screen")
        await ui.until(lambda: read_drafts(path) == {}, "no draft any more")

    type_half()
    go_on()


def test_an_edit_keeps_only_what_was_changed(tmp_path):
    path = tmp_path / "drafts.json"
    mine = listing("amber-ocr", 0.05, mine=True)

    @ui(listings=[mine], **kept(path))
    async def edit(ui):
        await ui.press("e")
        await ui.press("tab")
        await ui.type("1")
        await ui.press("escape")
        await ui.until(path.exists, "the draft")
        assert set(read_drafts(path)[mine.id]) == {"price"}

    @ui(listings=[mine], **kept(path))
    async def offered(ui):
        await ui.sees("An unsent edit of amber-ocr is kept")

    edit()
    offered()


def test_a_disk_that_keeps_no_drafts_is_named():
    def full(changes: object) -> None:
        raise DraftError("cannot keep the draft: the disk is full")

    @ui(listings=three, drafts=dict, keep_drafts=full)
    async def type_half(ui):
        await ui.press("n")
        await ui.type("swift")
        await ui.sees("What you type is not being saved")
        assert ui.toasts == ["What you type is not being saved: cannot keep the draft: the disk is full"]

    type_half()


def test_a_disk_that_keeps_no_drafts_is_named_once_until_it_keeps_one():
    errors: list[str] = []
    written = []

    def keep(changes: object) -> None:
        written.append(changes)
        if errors:
            raise DraftError(errors[0])

    @ui(listings=three, drafts=dict, keep_drafts=keep)
    async def type_name(ui):
        async def burst(fault: str) -> None:
            before, errors[:] = len(written), [fault] * bool(fault)
            await ui.type("x")
            await ui.until(lambda: len(written) > before and not ui.app.actions.drafts._saver._busy, "a write")

        await ui.press("n")
        said = "What you type is not being saved: "
        for fault in ("the disk is full", "the disk is full", "no permission", "the disk is full"):
            await burst(fault)
        assert ui.toasts == [f"{said}the disk is full", f"{said}no permission"]
        await burst("")
        await burst("the disk is full")
        assert ui.toasts[2:] == [f"{said}the disk is full"]

    type_name()


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        ([f"{OWN}/amber-ocr"], "An unsent edit of amber-ocr is kept: 5 shows your listings, and e goes on"),
        (["no-slash"], "An unsent edit of no-slash is kept: 5 shows your listings, and e goes on"),
        (["no-slash", "other"], "Unsent edits of 2 listings are kept: 5 shows your listings, and e goes on"),
    ],
)
def test_unsent_edits_are_named(ids, sentence):
    @ui(listings=three, drafts=lambda: {each: {"price": "1"} for each in ids})
    async def offered(ui):
        await ui.until(lambda: ui.toasts == [sentence])

    offered()


@ui(size=(120, 36), listings=three)
async def test_q_after_the_window_has_become_narrow_says_nothing_of_a_zoom(ui):
    await ui.press("enter", "z")
    await ui.pilot.resize_terminal(100, 36)
    await ui.until(lambda: not ui.app._main._wide)
    ui.app._main._mark_pane("detail")  # as before the focus has followed
    await ui.app._main.action_quit()
    assert not ends(ui)
    assert ui.app._main._pane == "listings"
    await ui.pilot.pause()
    assert not ui.toasts


def test_a_clock_that_is_set_back_leaves_no_marks():
    clock = Clock()
    model = MarketModel(clock)
    model._set_mark("one", Mark("+", clock()))
    assert model.mark("one") == Mark("+", clock())
    clock.now -= 3600
    assert model.mark("one") is None
