"""The parts of the interface that need no terminal."""

from dataclasses import replace

import pytest
from hypothesis import find, given
from hypothesis import strategies as st
from rich.cells import cell_len

from betar_tui.market.history import version_changes
from betar_tui.market.marketplace import Change, ChangeKind, Notice, Version
from betar_tui.tui import form
from betar_tui.tui import format as fmt
from betar_tui.tui.activity import ActivityLog
from betar_tui.tui.form import FormValues
from betar_tui.tui.model import MarketModel, RateMeter
from betar_tui.tui.widgets import columns
from betar_tui.tui.widgets.cells import cells
from betar_tui.tui.widgets.columns import Layout
from tests.tui.fake import NOW, OWN, Clock, listing

GOOD = FormValues(name="swift", price="0.5", metadata="a = b\n\nc=d=e", addrs="/ip4/1.2.3.4/tcp/1", protocols="/x/1")


@pytest.mark.parametrize(
    ("field", "text", "problem"),
    [
        ("name", " ", "needs a name"),
        ("name", "a/b", "separates"),
        ("name", "x" * 200, "128 are allowed"),
        ("name", "a\u202eb", "invisible"),
        ("price", "", "needs a price"),
        ("price", "nan", "finite"),
        ("price", "-1", "negative"),
        ("price", "1,5", "not a number"),
        ("metadata", "just words", "line 1: write key = value"),
        ("metadata", "a=1\na=2", "line 2: a is there twice"),
        ("metadata", "description = x", "description has a field of its own"),
        ("addrs", "1.2.3.4:4001", "not a multiaddr"),
        ("protocols", "x402", "not a protocol"),
        ("token_id", "two words", "without spaces"),
        ("description", "x" * 40_000, "allowed"),
        ("description", "x" * 16_385, "16,384 are allowed"),
    ],
)
def test_form_problems(field, text, problem):
    found = form.problems({**GOOD, field: text})
    assert list(found) == [field]
    assert problem in found[field]


def test_draft():
    assert form.problems(GOOD) == {}
    draft = form.draft(GOOD, FormValues(protocols="/x/1"))
    assert (draft.name, draft.price, draft.metadata) == ("swift", 0.5, {"a": "b", "c": "d=e"})
    assert draft.addrs == ("/ip4/1.2.3.4/tcp/1",)
    assert draft.protocols == ()
    assert draft.token_id is None


def test_patch_holds_only_what_changed():
    item = listing("swift", 0.5, mine=True, description="d", metadata={"description": "d", "a": "b", "n": 3})
    before = form.of_listing(item)
    assert before["metadata"] == "a = b"
    assert form.patch(before, before) is None
    patch = form.patch({**before, "metadata": "a = c\nz = 1", "price": "0.50", "description": "e"}, before)
    assert patch is not None
    assert (patch.metadata, patch.price, patch.description, patch.name) == ({"a": "c", "z": "1"}, None, "e", None)


def test_a_line_of_metadata_that_is_gone_takes_the_key_out():
    before = form.of_listing(listing("swift", 0.5, mine=True, metadata={"a": "b", "c": "d", "n": 3}))
    patch = form.patch({**before, "metadata": "c = e"}, before)
    assert patch is not None and patch.metadata == {"a": None, "c": "e"}


@pytest.mark.parametrize(
    ("markdown", "cell"),
    [
        ("# Reads *scans*\n\n- and **photos**", "Reads scans and photos"),
        ("see [the docs](https://x.test/a_b) or `run`", "see the docs or run"),
        ("> quoted _text_ of snake_case, 5 * 3 and 2*", "quoted text of snake_case, 5 * 3 and 2"),
        ("![](x) [open", "[open"),
    ],
)
def test_a_cell_shows_a_description_without_its_marks(markdown, cell):
    spans = cells(listing("a", description=markdown), None, NOW, OWN, 80, Layout(("name", "description")))
    assert "".join(text for text, _ in spans).split("a", 1)[1].strip() == cell


def test_tags_are_a_line_with_commas():
    item = listing("swift", 0.5, mine=True, metadata={"tags": ["nlp", "ocr"], "a": "b"}, tags=("nlp", "ocr"))
    before = form.of_listing(item)
    assert (before["tags"], before["metadata"]) == ("nlp, ocr", "a = b")
    assert form.patch(before, before) is None
    taken_out, changed = form.patch({**before, "tags": ""}, before), form.patch({**before, "tags": "ocr, pdf"}, before)
    assert taken_out is not None and (taken_out.tags, taken_out.metadata) == ((), None)
    assert changed is not None and changed.tags == ("ocr, pdf",)  # composing it makes two of it


def test_what_only_has_the_name_of_tags_is_kept():
    item = listing("swift", 0.5, mine=True, metadata={"tags": "nlp"})
    before = form.of_listing(item)
    assert (before["tags"], before["metadata"]) == ("", "")
    patch = form.patch({**before, "price": "1"}, before)
    assert patch is not None and (patch.tags, patch.metadata) == (None, None)


FIELDS = {
    "name": st.sampled_from(["swift-ocr", "é", "", "x" * 5000]),
    "price": st.sampled_from(["0", "0.02", "1e3", "", "-1", "nan", "1e999", "a"]),
    "description": st.text(max_size=20),
    "tags": st.sampled_from(["", "nlp, ocr", ",", "x" * 200]),
    "metadata": st.sampled_from(["", "a = b", "a = b\nc = 1", "no value", "a = 1\na = 2"]),
    "addrs": st.sampled_from(["", "/ip4/1.2.3.4/tcp/1", "nowhere"]),
    "protocols": st.sampled_from(["", "/x402/libp2p/1.0.0", "x402"]),
    "token_id": st.sampled_from(["", "7", "\x1b"]),
}


@given(st.builds(FormValues, **FIELDS))
def test_any_form_is_a_draft_or_has_problems(values):
    if not form.problems(values):
        draft = form.draft(values, FormValues())
        assert draft.name == values["name"].strip()
        assert draft.price == float(values["price"])
        assert (draft.description or "") == values["description"].strip()


def test_forms_with_and_without_problems_are_tried():
    good = st.builds(FormValues, **FIELDS).filter(lambda values: not form.problems(values))
    bad = st.builds(FormValues, **FIELDS).filter(form.problems)
    assert find(good, lambda values: values["metadata"]) and find(bad, lambda values: values["name"])


def test_history_shows_the_changes_of_each_version():
    old = '{"name": "a", "price": 1, "metadata": {"x": 1, "y": 2}, "timestamp": 1}'
    new = '{"name": "a", "price": 2, "metadata": {"x": 1}, "timestamp": 2, "extra": "\\u001b"}'
    same = new.replace('"timestamp": 2', '"timestamp": 3')
    values = [None, same, new, old, "nonsense", "[]"]
    changes = version_changes([Version(f"c{n}", 9 - n, value) for n, value in enumerate(values)])
    assert [change.summary for change in changes] == [
        "removed",
        "refreshed",
        "changed",
        "replaced an unreadable value",
        "unreadable",
        "unreadable",
    ]
    assert changes[2].lines == ("~ price: 1 → 2", "+ extra: ␛", "- metadata.y: 2")


def test_activity_keeps_a_bound_and_forgets_folded_refreshes_with_it():
    log = ActivityLog(keep=3)
    refresh = Change(ChangeKind.REFRESH, "x", "c", 1, "local", NOW)
    log.change(refresh, "x", "s")
    log.change(refresh, "x", "s")
    assert [entry.count for entry in log.entries] == [2]
    for number in range(3):
        log.notice("info", str(number), NOW)
    log.change(refresh, "x", "s")
    assert [entry.kind for entry in log.entries] == ["info", "info", "refresh"]
    assert log.entries[-1].count == 1
    assert log.latest().text == "2"


def test_rate():
    clock = Clock(1000.0)
    meter = RateMeter(clock)
    assert meter.rate() == 0
    meter.add(9)
    clock.advance(1)
    assert meter.rate() == 3
    assert meter.history()[-2:] == [9, 0]
    clock.advance(20)
    assert not any(meter.history())


def test_model_marks_only_real_changes():
    clock = Clock()
    model = MarketModel(clock)
    item = listing("a", 1.0)
    model.apply([Change(ChangeKind.PUT, item.id, "c", 1, "local", NOW, item)])
    model.table.remember(item)
    assert model.mark(item.id).sign == "+"
    clock.advance(60)
    assert model.mark(item.id) is None
    model.apply([Change(ChangeKind.REFRESH, item.id, "c", 2, "local", NOW, replace(item, timestamp=5))])
    assert model.mark(item.id) is None
    dearer = replace(item, price=2.0)
    model.apply([Change(ChangeKind.UPDATE, item.id, "c", 3, "local", NOW, dearer), Notice("info", "n", NOW)])
    assert model.mark(item.id).arrow == "↑"
    model.apply([Change(ChangeKind.DELIST, item.id, "c", 4, "local", NOW)])
    assert model.listing(item.id) is not None
    assert model.own_disabled_reason(model.listing(item.id)) == "it is no longer listed"


OTHERS = tuple(columns.COLUMNS)[1:]


@given(
    st.integers(30, 260),
    st.sampled_from([None, "name", "price", "seen"]),
    st.lists(st.sampled_from(OTHERS), unique=True),
    st.sampled_from([2, 4]),
    st.integers(0, 12),
)
def test_header_and_rows_have_the_same_columns(width, sort, others, gap, skip):
    layout = Layout(("name", *others), gap, min(skip, columns.max_skip(width, Layout(("name", *others), gap))))
    header = "".join(text for text, _ in columns.header(width, sort or "name", False, layout))
    row = "".join(text for text, _ in cells(listing("漢字" * 30, 1e12), None, NOW, OWN, width - 1, layout))
    more = header.endswith("›")
    assert cell_len(header) == width if more else cell_len(header) == cell_len(row) + 1
    for column, _ in columns.visible_columns(width, layout):
        start = header.find(column.title[:3])
        assert start < 0 or columns.column_at(width, start, layout) == column.key


@given(st.integers(40, 200), st.lists(st.sampled_from(OTHERS), unique=True), st.sampled_from([2, 4]))
def test_every_chosen_column_can_be_scrolled_into_sight(width, others, gap):
    chosen = ("name", *others)
    most = columns.max_skip(width, Layout(chosen, gap))
    seen = set()
    for skip in range(most + 1):
        placed = columns.visible_columns(width, Layout(chosen, gap, skip))
        assert placed[0][0].key == "name" and placed[0][1] >= columns.MIN_NAME
        room = width - columns.GUTTER - placed[0][1] - gap
        seen |= {column.key for column, cells in placed if cells >= min(column.width, room)}
    assert seen >= set(chosen)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.5, "0.5"), (0.02, "0.02"), (12, "12"), (1250.5, "1,250.5"), (0.00001, "0.00001"), (0.1234, "0.1234")],
)
def test_price(value, text):
    assert fmt.price(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "now"), (4, "4s"), (60, "1m"), (3600, "1h"), (90000, "1d"), (4e7, "1y")]
)
def test_age(seconds, text):
    assert fmt.age(seconds) == text


def test_words_and_numbers():
    assert fmt.size(937) == "937 B" and fmt.size(1_700) == "1.7 KB" and fmt.size(5_000_000_000) == "5.0 GB"
    assert fmt.plural(1, "peer") == "1 peer" and fmt.plural(1200, "peer") == "1,200 peers"
    assert fmt.spark([0, 0]) == "▁▁" and fmt.spark([0, 4]) == "▁█"
