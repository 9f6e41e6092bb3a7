"""The lines of the log for people."""

import json
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from betar_tui import logs
from betar_tui.tui import format as fmt
from betar_tui.tui.loglines import MAX_MESSAGE, format_lines

LINE = "2026-11-23 12:04:09,013 WARNING betar_tui.p2p.network: 12D3KooWQz sent a block of another name"


def text(lines: list[str], width: int = 80) -> list[str]:
    return ["".join(piece for piece, _ in spans) for spans in format_lines(lines, width)]


def test_a_line_shows_time_sign_and_message():
    assert text([LINE]) == [" 12:04:09 ! 12D3KooWQz sent a block of another name"]
    ((_, (_, sign), (_, style)),) = format_lines([LINE], 80)
    assert (sign, style) == ("warn", "warn")


def test_a_long_message_goes_on_below_itself():
    assert text([LINE], 36) == [
        " 12:04:09 ! 12D3KooWQz sent a block",
        "            of another name",
    ]


def test_ids_are_shortened_where_the_message_would_not_fit():
    peer, cid = (
        "12D3KooWMCRaFiLagdgkggv5yEo9HR33TXBiKPmXE5ZYi16nzm2T",
        "bafybeidr4lcgon6ttutr2crdhu57veq466w4oa5krtnerjddclcc2rkz7y",
    )
    line = f"2026-11-23 12:04:09,013 INFO betar_tui.peer.peer: {peer}/night-owl in {cid}"
    assert text([line], 200) == [f" 12:04:09   {peer}/night-owl in {cid}"]
    assert text([line], 80) == [" 12:04:09   12D3…MCRaFiLa/night-owl in bafy…c2rkz7y"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_own_lines_are_parsed_in_both_formats(form):
    made = logs.JsonFormatter() if form == "json" else logging.Formatter(logs.TEXT)
    record = logging.LogRecord("betar_tui.peer", logging.ERROR, "x.py", 1, "%s broke", ("it",), None)
    line = made.format(record)
    assert text([line]) == [f" {fmt.clock(record.created)} ✗ it broke"]


def test_a_traceback_in_json_is_shown_to_its_end():
    fields = {
        "time": 1e9,
        "level": "error",
        "message": "it failed",
        "traceback": "Traceback:\n" + "x\n" * 300 + "Error: so",
    }
    shown = text([json.dumps(fields)])
    assert shown[0].endswith("✗ it failed")
    assert shown[-1].strip() == "Error: so"


def test_digits_of_other_scripts_are_not_a_time():
    line = "2026-11-23 １２:３４:５６,013 WARNING a.b: x"
    assert text([line], 200) == [f"{' ' * 12}{line}"]


def test_lines_in_other_formats_stay_as_they_are():
    others = [
        "Traceback (most recent call last):",
        "{not json",
        json.dumps({"time": "x", "level": 1, "message": 2}),
        "",
    ]
    assert text(others) == [f"{' ' * 12}{line}" for line in others]


def test_json_of_any_kind_breaks_nothing():
    for value in ([], {}, {"time": 1e400, "level": "x", "message": "y"}, {"time": 1e30, "level": "x", "message": "y"}):
        assert text([json.dumps(value)])


@given(st.lists(st.text(max_size=300), max_size=5), st.integers(1, 200))
def test_nothing_is_wider_than_the_screen_and_no_control_gets_through(lines, width):
    for line in text([f"{LINE}{each}" for each in lines] + lines, width):
        assert cell_len(line) <= max(width, 32)
        assert line.isprintable()


def test_the_longest_line_is_cut():
    assert sum(len(line) - 12 for line in text(["x" * 10_000])) <= MAX_MESSAGE


def test_the_time_is_local():
    entry = json.dumps({"time": time.time(), "level": "info", "message": "up"})
    assert text([entry])[0].strip().startswith(time.strftime("%H:"))
