"""Hostile texts of a peer in every place: none acts on the terminal, moves a column or works as markup."""

from __future__ import annotations

from dataclasses import replace

from textual import events

from betar_tui.errors import NetworkError, StoreError
from betar_tui.market.marketplace import Change, ChangeKind, DagNodeInfo, Listing, Notice, PeerInfo, Provenance
from betar_tui.market.text import letters_of, neutralise, neutralise_lines
from betar_tui.tui.form import of_listing
from betar_tui.tui.format import fit
from betar_tui.tui.loglines import format_lines
from betar_tui.tui.screens.delta import DeltaScreen
from betar_tui.tui.screens.dialogues import ConfirmScreen
from betar_tui.tui.screens.publish import FormScreen
from betar_tui.tui.widgets.columns import GUTTER, Layout, visible_columns
from betar_tui.tui.widgets.detail import DetailView
from betar_tui.tui.widgets.safemarkdown import SafeMarkdown, shortened
from tests.tui.fake import NOW, FakeMarketplace, listing, peer_id
from tests.tui.hostile import HOSTILE, KINDS
from tests.tui.terminal import columns, frame, shows
from tests.tui.ui import Ui, ui

COUNT = len(HOSTILE)

BATCH = 8
"""Strings that one listing takes in its lists: a screen format_lines once shows them all."""

BATCHES = [HOSTILE[at : at + BATCH] for at in range(0, COUNT, BATCH)]

SOME = sorted({text for kind in KINDS.values() for text in (*kind[:2], kind[-1])})
"""For dialogues, which show one text at a time, a few of each kind."""


def nasty(number: int, *, mine: bool = False) -> Listing:
    """A listing with the same hostile text in every field."""
    text = HOSTILE[number]
    return listing(
        text,
        0.1,
        id=f"{number}/{text}",
        mine=mine,
        seller_id=text,
        description=text,
        metadata={text: text, "nested": {text: [text, {"deep": text}]}, "description": text},
        addrs=(text, f"/ip4/{text}"),
        protocols=(text,),
        token_id=text,
        extra={f"x{text}": text},
        provenance=list(Provenance)[number % 3],
        seen=NOW - number,
    )


def packed(number: int, *, mine: bool = False) -> Listing:
    """A listing with a whole batch in its lists and description."""
    texts = BATCHES[number]
    return replace(
        nasty(number * BATCH, mine=mine),
        description="\n\n".join(texts),
        metadata={text: text[:50] for text in texts},
        addrs=texts,
        protocols=texts,
        extra={"x": dict.fromkeys(texts, texts[0])},
    )


def market() -> list[Listing]:
    return [nasty(number) for number in range(COUNT)]


def own() -> list[Listing]:
    return [nasty(number, mine=True) for number in range(COUNT)]


def peers(fake: FakeMarketplace) -> None:
    fake.connected = tuple(
        PeerInfo(f"{number}{text}", (text, text), text, 12.5, text, (text,), True, NOW - number)
        for number, text in enumerate(HOSTILE)
    )


def dag(fake: FakeMarketplace) -> None:
    """Each delta touches one listing that is known and nine that are not."""
    fake.deltas = tuple(
        DagNodeInfo(text, COUNT - at, (HOSTILE[at + 1],) if at + 1 < COUNT else (), 612, 1, at % 2, _touched(at))
        for at, text in enumerate(HOSTILE)
    )


def _touched(at: int) -> tuple[str, ...]:
    return (f"{at}/{HOSTILE[at]}", *(f"gone/{HOSTILE[(at + n) % COUNT]}" for n in range(9)))


def test_the_strings_are_many_and_different():
    assert len(set(HOSTILE)) == COUNT >= 200


@ui(size=(100, COUNT + 10), listings=market)
async def test_no_row_of_the_market_is_out_of_line(ui):
    rows = ui.one("#rows")
    layout = Layout()
    start, starts = GUTTER, {}
    for column, width in visible_columns(rows.size.width - 1, layout):
        starts[column.key] = start
        start += width + layout.gap
    lines = frame(ui)
    top = rows.region.y
    for line in lines[top : top + COUNT]:
        cells = columns(line)
        assert cells[starts["state"]] in "✓·✗", line
        assert cells[starts["price"] + 4 : starts["price"] + 8] == list("0.1 "), line
        for key in ("price", "seller", "seen", "state"):
            assert cells[starts[key] - layout.gap : starts[key]] == [" "] * layout.gap, line
    (_, name_width), *_ = visible_columns(rows.size.width - 1, layout)
    for text in KINDS["markup"]:
        assert shows(lines, f" {fit(neutralise(text), name_width)}"), text


@ui(size=(100, 4 * COUNT), listings=market, prepare=peers)
async def test_peers_and_activity(ui):
    await ui.press("2")
    lines = frame(ui)
    assert shows(lines, "␛[2Jb")
    for number, text in enumerate(HOSTILE):
        item = nasty(number)
        ui.market.emit(
            Change(ChangeKind.UPDATE, item.id, item.cid, 2, text, NOW, replace(item, price=0.2)),
            Notice("warning", text, NOW),
            Notice("error", f"{text}: put again", NOW),
        )
        if not number % 100:
            await ui.until(lambda number=number: len(ui.app.model.activity) == 3 * (number + 1))
    await ui.press("3")
    await ui.until(lambda: len(ui.app.model.activity) == 3 * COUNT)
    lines = frame(ui)
    assert sum("update" in line for line in lines) == COUNT
    assert shows(lines, "! a␛[31mb")
    assert shows(lines, "[@click=app.quit]free[/]")


@ui(size=(80, 120), listings=lambda: [packed(number) for number in range(len(BATCHES))])
async def test_the_listing_in_full(ui):
    await ui.press("enter")
    view = ui.one(DetailView)
    for item in [*ui.market.store.values()]:
        new = replace(item, metadata=dict.fromkeys(item.metadata, ""), token_id=item.addrs[-1])
        ui.market.put(new, silent=True)
        view.show(item.id)
        await ui.until(lambda: _at_the_end(ui, view), f"the history of {item.id[:80]!r}")
        lines = []
        for y in (*range(0, view.max_scroll_y, 100), view.max_scroll_y):
            view.scroll_to(y=y, animate=False)
            await ui.pilot.pause()
            lines += frame(ui)
        assert not shows(lines, "… -")
    assert not ui.app._exit


def _at_the_end(ui: Ui, view: DetailView) -> bool:
    """All is laid out: the history stands at the end."""
    view.scroll_end(animate=False)
    return "changed" in ui.text and "published" in ui.text


@ui(size=(80, 60), listings=lambda: [listing("plain", description="x")])
async def test_markdown_is_literal_and_laid_out_quickly(ui):
    """Blocks are widgets; a description of nothing but blocks must not stop the interface."""
    await ui.press("enter")
    markdown = ui.one(SafeMarkdown)
    for text in KINDS["markdown"]:
        await markdown.update(shortened(neutralise_lines(text)))
        await ui.pilot.pause()
        assert len(markdown.query("*")) < 200
        lines = frame(ui)
        for literal in ("<script>", "<!-- hidden", "<div", "<img src", "&#x202e;evil", "%1b[31mred", "xn--80ak6aa92e"):
            assert (literal in text) == shows(lines, literal), (literal, text)


@ui(size=(100, COUNT + 10), listings=market, prepare=dag)
async def test_replica_and_its_deltas(ui):
    await ui.press("4")
    await ui.until(lambda: ui.one("#list-lines").count == COUNT)
    lines = frame(ui)
    assert shows(lines, "[/bold]")
    await ui.pilot.resize_terminal(100, 40)
    for at in range(0, COUNT, 10):
        ui.app.screen.open(at)
        await ui.until(lambda: isinstance(ui.app.screen, DeltaScreen))
        await ui.pilot.pause()
        assert shows(frame(ui), f"height {COUNT - at}")
        await ui.press("escape")


@ui(size=(100, COUNT + 10), listings=own)
async def test_own_listings_and_the_form(ui):
    await ui.press("5")
    lines = frame(ui)
    assert sum("announced" in line or "stale" in line for line in lines) == COUNT
    await ui.press("e")
    assert isinstance(ui.app.screen, FormScreen)
    await ui.pilot.resize_terminal(100, 60)
    for number in range(len(BATCHES)):
        ui.app.screen._fill(of_listing(packed(number)))
        await ui.pilot.pause()
        frame(ui, typed=True)


FEW = [nasty(HOSTILE.index(text), mine=True) for text in SOME]
"""No more than the table has at hand."""


@ui(listings=FEW)
async def test_the_form_of_each_kind_and_its_question(ui):
    for item in FEW[::6]:
        ui.app.actions.edit(item.id)
        await ui.until(lambda: isinstance(ui.app.screen, FormScreen))
        await ui.sees("Edit ")
        assert shows(frame(ui, typed=True), "Edit ")
        await ui.press("f2")
        await ui.sees("to correct")  # the title may have scrolled away from a field with a long error
        frame(ui, typed=True)
        await ui.press("escape")
    for item in FEW[::2]:
        ui.app.actions.delist(item.id)
        await ui.until(lambda: isinstance(ui.app.screen, ConfirmScreen))
        await ui.pilot.pause()
        assert shows(frame(ui), "Delist ")
        await ui.press("escape")


LOGGED = len(list(format_lines(HOSTILE, 98)))
"""Long ones take several lines; all are in sight."""


@ui(size=(100, LOGGED + 10), listings=[], log_tail=lambda: HOSTILE)
async def test_the_log(ui):
    await ui.press("6")
    await ui.sees(f"{COUNT} lines")
    assert ui.one("#list-lines").count == LOGGED
    assert shows(frame(ui), "a␛[?1049lb")


@ui(size=(100, 60), listings=FEW)
async def test_toasts(ui):
    for at, listing_id in enumerate([item.id for item in FEW]):
        ui.app.actions.copy("i", listing_id)
        ui.app.actions.refuse("edit", listing_id, "only its seller can")
        if at % 6 == 5:
            await ui.until(lambda: ui.app.screen.query("Toast"))
            await ui.pilot.pause()
            assert shows(frame(ui), "Sent to the terminal")
            ui.app.clear_notifications()
    assert ui.app.clipboard == letters_of(listing_id)


@ui(listings=[], peers=0)
async def test_errors_in_every_pane(ui):
    for text in filter(None, SOME):
        error = StoreError(text)
        ui.app.model.load_failed(str(error))
        ui.app.model.status_failed(str(error))
        ui.app.model.link_error = text
        ui.app.screen._show_states()
        await ui.pilot.pause()
        assert shows(frame(ui), "The listings cannot be read")


@ui(listings=[], peers=0)
async def test_a_peer_that_refuses(ui):
    await ui.press("a")
    ui.app.screen.query_one("#address").value = "/ip4/127.0.0.1/tcp/1/p2p/x"
    await ui.pilot.pause()
    for text in SOME:
        ui.market.fail["connect"] = NetworkError(f"refused: {text}")
        await ui.press("enter")
        await ui.sees("refused")
        frame(ui)
        ui.app.screen._show_verdict("")
        await ui.pilot.pause()


@ui(listings=[])
async def test_hostile_pastes(ui):
    await ui.press("n")
    for text in SOME[::2]:
        for name in ("name", "description"):
            field = ui.app.screen.query_one(f"#field-{name}")
            field.clear()
            field.focus()
            await ui.until(lambda field=field: ui.focused is field)
            ui.app.post_message(events.Paste(text))
            await ui.pilot.pause()
            frame(ui)
    await ui.until(lambda: ui.app.screen.query_one("#field-description").text)


@ui(listings=lambda: [listing("deep")])
async def test_a_version_nested_too_deep_is_unreadable(ui):
    item = next(iter(ui.market.store.values()))
    old = ui.market.history[item.id][0]
    ui.market.history[item.id].insert(0, replace(old, value="[" * 200_000))
    await ui.press("enter")
    await ui.sees("Story", "History")
    await ui.press("end")
    await ui.sees("unreadable", "replaced an unreadable value")


def test_the_fields_are_really_hostile():
    item = nasty(0)
    assert item.seller_id == item.name == HOSTILE[0] and "\x1b" in item.id and peer_id(1) not in item.id
