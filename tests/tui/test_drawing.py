"""The amount that is redrawn: the output for a change must not grow with the content of the screen."""

from dataclasses import replace

from textual._compositor import ChopsUpdate

from betar_tui.tui.widgets.columns import visible_columns
from betar_tui.tui.widgets.lines import LineList, _differences
from betar_tui.tui.widgets.listings import ListingRows
from tests.tui.ui import NEVER, Ui, shown_ids, ui


class Recording:
    """The frames of an app from now on: the pieces of each (line, first cell, cell after the last), or "all"."""

    def __init__(self, ui: Ui) -> None:
        self.frames: list[list[tuple[int, int, int]] | str] = []
        display = ui.app._display

        def record(screen, renderable) -> None:
            if renderable is not None:
                self.frames.append(list(renderable.spans) if isinstance(renderable, ChopsUpdate) else "all")
            display(screen, renderable)

        ui.app._display = record

    @property
    def pieces(self) -> set[tuple[int, int, int]]:
        assert "all" not in self.frames
        return {piece for frame in self.frames for piece in frame}


async def recorded(ui: Ui) -> Recording:
    """A recording that begins when everything due has been drawn."""
    screen = ui.app.screen

    def at_rest() -> bool:
        waiting = any(widget._repaint_required or widget._layout_required for widget in [screen, *screen.query("*")])
        return not (waiting or screen._dirty_widgets or screen._scroll_required)

    await ui.until(at_rest)
    return Recording(ui)


def test_only_spans_that_differ_are_different():
    old = [("a", ""), ("bb", ""), ("c", "dim")]
    assert _differences(old, list(old)) == []
    assert _differences(old, [("a", ""), ("xx", ""), ("c", "")]) == [(1, 3), (3, 4)]
    assert _differences(old, [("x", ""), ("b", ""), ("c", "dim")]) == [(0, 1), (1, 10_000)]
    assert _differences(old, [("a", "")]) == [(0, 10_000)]


def test_a_list_without_a_subclass_is_empty():
    assert LineList(id="x").count == 0
    assert LineList(id="x").spans(0, 10) == ()


@ui(settle=NEVER)
async def test_one_changed_price_repaints_its_cells_the_status_and_the_activity(ui):
    await ui.press("down")
    items = list(ui.market.store.values())
    ui.market.put(replace(items[0], price=2.0))
    await ui.until(lambda: len(ui.app.model.activity) == 1 and ui.app.model.status.height == ui.market.height)
    ui.clock.advance(5)
    ui.app._tick()
    await ui.pilot.pause()
    recording = await recorded(ui)
    ui.market.put(replace(items[4], price=77.0))
    await ui.until(lambda: ui.app.model.status.height == ui.market.height)
    await ui.sees("77↑")
    await ui.pilot.pause()
    row = next(y for y, line in enumerate(ui.lines) if "77↑" in line)
    latest = next(y for y, line in enumerate(ui.lines) if line.startswith(" Δ"))
    assert {y for y, _, _ in recording.pieces} <= {0, row, latest}
    rows = ui.one(ListingRows)
    at, changed = 3, set()
    for column, cells in visible_columns(79, rows.current_layout):
        inside = range(at, at + cells)
        if any(y == row and x1 < inside.stop and inside.start < x2 for y, x1, x2 in recording.pieces):
            changed.add(column.key)
        at += cells + 2
    assert changed == {"price", "seen", "state"}


@ui(settle=NEVER)
async def test_a_move_repaints_two_rows(ui):
    recording = await recorded(ui)
    await ui.press("down")
    top = ui.one(ListingRows).region.y
    assert {y for y, _, _ in recording.pieces} - {0} == {top, top + 1}


@ui(settle=NEVER)
async def test_nothing_new_repaints_nothing_but_the_status(ui):
    recording = await recorded(ui)
    ui.app._tick()
    await ui.pilot.pause()
    assert {y for y, _, _ in recording.pieces} <= {0}


def drawn_anew(rows: ListingRows) -> list[str]:
    return [rows.render_line(y).text for y in range(rows.size.height)]


def in_sight(ui: Ui, rows: ListingRows) -> list[str]:
    region = rows.region
    lines = ui.lines[region.y : region.bottom]
    # Without the cells where the scrollbar is.
    return [line[region.x : region.right - 1] for line in lines]


@ui(settle=NEVER)
async def test_scrolled_lines_are_as_if_drawn_anew(ui):
    rows = ui.one(ListingRows)
    items = {item.id: item for item in ui.market.store.values()}
    steps = ["down"] * 25 + ["pagedown", "up", "pageup", "end", "up", "up", "home", "pagedown", "down"]
    for number, key in enumerate(steps):
        await ui.press(key)
        if number % 5 == 0:
            item = items[shown_ids(rows)[rows.cursor]]
            ui.market.put(replace(item, price=100.0 + number))
            await ui.sees(f"{100 + number}↑")
        assert in_sight(ui, rows) == [line[:-1] for line in drawn_anew(rows)], (number, key)
    await ui.pilot.resize_terminal(100, 20)
    await ui.until(lambda: rows.size.width == 100 and rows.size.height < 16)
    await ui.press("down", "down", "end")
    assert in_sight(ui, rows) == [line[:-1] for line in drawn_anew(rows)]


@ui(settle=NEVER)
async def test_scrolling_by_a_line_draws_only_the_changed_lines(ui):
    rows = ui.one(ListingRows)
    await ui.press(*["down"] * 20)
    drawn = []
    line = rows._line
    rows._line = lambda y, *sizes: drawn.append(y) or line(y, *sizes)
    await ui.press("down")
    # The new one with the cursor, and the one the cursor left, which has moved up.
    last = rows.size.height - 1
    assert drawn == [last - 1, last]


@ui(theme="betar-dark", settle=NEVER)
async def test_another_theme_draws_rows_in_its_colours(ui):
    rows = ui.one(ListingRows)
    before = rows.render_line(3)
    assert rows.render_line(3) is before
    ui.app.theme = "betar-light"
    await ui.until(lambda: rows.render_line(3) is not before)
    assert rows.render_line(3).text == before.text
    assert {segment.style.bgcolor for segment in rows.render_line(3)} == {rows.rich_style.bgcolor}
