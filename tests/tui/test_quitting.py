"""Leaving the app, or one listing; a peer that others use, that is gone, or that gives no sign of life; drafts."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from betar_tui.errors import ConfigError, ControlError, DraftError, StoreError, StoreLockedError, UnansweredError
from betar_tui.tui.model import Mark, MarketModel
from betar_tui.tui.screens.quitting import QuitScreen
from betar_tui.unsent import keep_drafts, read_drafts
from tests.tui.fake import OWN, Clock, FakeMarketplace, listing
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


def test_the_key_twice_runs_it_once():
    taken: list[trio.Event] = []

    async def take_over() -> None:
        taken.append(trio.Event())
        await taken[0].wait()

    @ui(listings=three, take_over=take_over)
    async def lose(ui):
        ui.market.fail["events"] = ControlError("the running peer went away")
        ui.market.break_stream()
        await ui.sees("✗ The peer is gone: o runs it in this window")
        await ui.press("o", "o")
        await ui.until(lambda: "The peer is being started" in ui.toasts)
        ui.market.fail.clear()
        taken[0].set()
        await ui.sees("● online")
        assert len(taken) == 1

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
    return {
        "drafts": lambda: read_drafts(path),
        "keep_drafts": lambda changes: keep_drafts(path, changes),
        "own_peer": lambda: True,
    }


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
        assert read_drafts(path)[mine.id] == {"price": "0.051", "price before": "0.05"}

    @ui(listings=[mine], **kept(path))
    async def offered(ui):
        await ui.sees("An unsent edit of amber-ocr is kept")

    edit()
    offered()


LOST = f"{OWN}/gone-ocr"


def drafts_of(path: Path, *keys: str) -> dict[str, object]:
    keep_drafts(path, {key: {"description": "half"} for key in keys})
    return kept(path)


def test_a_draft_without_its_listing_can_be_thrown_away(tmp_path):
    path = tmp_path / "drafts.json"
    mine = listing("amber-ocr", 0.05, mine=True)

    @ui(listings=[mine], **drafts_of(path, LOST, mine.id))
    async def throw_away(ui):
        await ui.until(lambda: len(ui.toasts) == 2)
        assert ui.toasts == [
            "An unsent edit of amber-ocr is kept: 5 shows your listings, and e goes on",
            "An unsent edit of gone-ocr is kept, which is not listed any more: "
            '"Throw away drafts" in the palette (ctrl+p) forgets it',
        ]
        (command,) = [each for each in ui.app.get_system_commands(ui.app.screen) if each.title == "Throw away drafts"]
        assert command.help == "Edits of what is not listed: gone-ocr"
        ui.market.fail["find"] = StoreError("the disk is broken")
        command.callback()
        await ui.until(lambda: ui.toasts[2:] == ["The drafts are kept still: the disk is broken"])
        ui.market.fail.clear()
        command.callback()
        await ui.until(lambda: read_drafts(path).keys() == {mine.id}, "one draft")
        titles = [each.title for each in ui.app.get_system_commands(ui.app.screen)]
        assert "Throw away drafts" not in titles

    throw_away()


def test_of_a_listing_that_has_come_meanwhile_it_is_not_thrown_away(tmp_path):
    path = tmp_path / "drafts.json"

    @ui(listings=three, **drafts_of(path, LOST, f"{OWN}/other"))
    async def throw_away(ui):
        await ui.until(lambda: ui.toasts)
        (command,) = [each for each in ui.app.get_system_commands(ui.app.screen) if each.title == "Throw away drafts"]
        ui.market.put(listing("gone-ocr", 0.05, mine=True))
        command.callback()
        await ui.until(lambda: read_drafts(path).keys() == {LOST}, "one draft")

    throw_away()


def test_where_it_is_not_known_which_listings_there_are_none_is_called_gone(tmp_path):
    def fail(market: FakeMarketplace) -> None:
        market.fail["find"] = StoreError("the disk is broken")

    @ui(listings=three, prepare=fail, **drafts_of(tmp_path / "drafts.json", LOST))
    async def offered(ui):
        await ui.until(
            lambda: ui.toasts == ["An unsent edit of gone-ocr is kept: 5 shows your listings, and e goes on"]
        )

    offered()


def test_a_second_window_is_told_that_somebody_may_be_typing(tmp_path):
    options = {**drafts_of(tmp_path / "drafts.json", ""), "own_peer": lambda: False}

    @ui(listings=three, **options)
    async def offered(ui):
        said = "A draft of a new listing is kept, or being typed in another window: n goes on with it"
        await ui.until(lambda: ui.toasts == [said])

    offered()


def test_a_draft_ends_with_its_listing_and_comes_back_with_it(tmp_path):
    path = tmp_path / "drafts.json"
    mine = listing("amber-ocr", 0.05, mine=True)

    @ui(listings=[mine], **drafts_of(path, mine.id))
    async def delist(ui):
        await ui.press("d", "y")
        await ui.until(lambda: read_drafts(path) == {}, "no draft")
        await ui.press("U")
        await ui.until(lambda: read_drafts(path) == {mine.id: {"description": "half"}}, "the draft")

    delist()


class Disk:
    """A disk that is full until there is room, and how often it was written to."""

    def __init__(self) -> None:
        self.full, self.writes = True, 0
        self.drafts: dict[str, dict[str, str]] = {}

    def keep(self, changes: Mapping[str, dict[str, str] | None]) -> None:
        self.writes += 1
        if self.full:
            raise DraftError("cannot keep the draft: the disk is full")
        self.drafts.update({name: draft for name, draft in changes.items() if draft is not None})
        for name in (name for name, draft in changes.items() if draft is None):
            self.drafts.pop(name, None)

    @property
    def options(self) -> dict[str, object]:
        return {"drafts": lambda: dict(self.drafts), "keep_drafts": self.keep}


FULL = "What you type is not being saved: cannot keep the draft: the disk is full"


async def write(ui: Ui, disk: Disk, keys: str) -> None:
    """Type until the disk has been asked once more."""
    before = disk.writes
    await ui.type(keys)
    await ui.until(lambda: disk.writes > before and not ui.app.actions.drafts._saver._busy, "a write")


def test_a_disk_that_keeps_no_drafts_is_named_once_until_it_keeps_one():
    disk = Disk()

    @ui(listings=three, **disk.options)
    async def type_on(ui):
        await ui.press("n")
        await write(ui, disk, "swift")
        await write(ui, disk, "-ocr")
        assert ui.toasts == [FULL]
        disk.full = False
        await write(ui, disk, "-9")
        assert disk.drafts == {"": {"name": "swift-ocr-9"}}
        ui.app.clear_notifications()
        disk.full = True
        await write(ui, disk, "-a")
        assert ui.toasts == [FULL]

    type_on()


def test_what_the_disk_did_not_keep_is_here_while_the_app_runs_and_tried_again():
    disk = Disk()

    @ui(listings=three, **disk.options)
    async def come_back(ui):
        await ui.press("n")
        await write(ui, disk, "swift")
        await ui.press("escape", "n")
        await ui.sees("your draft is back", "swift")
        await ui.press("escape")
        disk.full = False

    come_back()
    assert disk.drafts == {"": {"name": "swift"}}


def test_a_failed_setting_is_written_with_the_next_one():
    written: list[Mapping[str, object]] = []

    def keep(changes: Mapping[str, object]) -> None:
        if not written:
            written.append({})
            raise ConfigError("the disk is full")
        written.append(changes)

    @ui(listings=three, keep=keep)
    async def change(ui):
        ui.app.settings.change(theme="betar-light")
        await ui.until(lambda: written and not ui.app._saver._busy)
        ui.app.settings.change(columns=("price",))
        await ui.until(lambda: len(written) > 1)
        assert written[1].keys() == {"theme", "columns"}

    change()


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
