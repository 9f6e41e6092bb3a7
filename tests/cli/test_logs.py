"""The log: its formats, its limit, and the lines of a running peer."""

import json
import logging
import shutil
import signal
from collections.abc import Iterator

import pytest

from betar_tui import __version__, logs
from betar_tui.errors import ConfigError
from tests.peers.harness import eventually, served


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """Leave the process's log as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_of_text_has_time_level_and_logger(tmp_path):
    logs.configure("info", "text", tmp_path / "log")
    logging.getLogger("betar_tui.some").info("a %s", "thing")
    logging.getLogger("betar_tui.some").debug("too small")
    (line,) = logs.tail(tmp_path / "log")
    assert line.endswith(" INFO betar_tui.some: a thing")


def test_a_line_of_json_has_the_traceback_too(tmp_path):
    logs.configure("info", "json", tmp_path / "log")
    try:
        raise ValueError("so\nit is")
    except ValueError:
        logging.getLogger("betar_tui.some").exception("that failed")
    (entry,) = map(json.loads, logs.tail(tmp_path / "log"))
    assert (entry["level"], entry["message"]) == ("error", "that failed")
    assert "ValueError: so\nit is" in entry["traceback"]


def test_a_long_file_is_rotated_and_its_writer_opens_a_new_one(tmp_path):
    file = tmp_path / "log"
    logs.configure("info", "text", file)
    logging.getLogger("betar_tui.some").info("older")
    logs.rotate(file, limit=10_000)
    assert not (tmp_path / "log.1").exists()
    logs.rotate(file, limit=10)
    logging.getLogger("betar_tui.some").info("newer")
    assert [each.partition(": ")[2] for each in logs.tail(tmp_path / "log.1")] == ["older"]
    assert [each.partition(": ")[2] for each in logs.tail(file)] == ["newer"]


def test_a_missing_file_is_not_rotated(tmp_path):
    logs.rotate(tmp_path / "log")
    assert not list(tmp_path.iterdir())


def test_frequent_lines_are_left_out_and_counted_but_errors_are_not(tmp_path):
    now = 1000.0
    logs.configure("info", "text", tmp_path / "log")
    handler = logging.getLogger().handlers[0]
    handler.filters[:] = [logs.RateLimitFilter(3, lambda: now)]
    some = logging.getLogger("betar_tui.some")

    def logged() -> list[str]:
        return [line.partition(": ")[2] for line in logs.tail(tmp_path / "log")]

    for number in range(10):
        some.info("info %d", number)
        some.error("error %d", number)
    some.warning("another level")
    logging.getLogger("betar_tui.other").info("another logger")
    assert [each for each in logged() if "error" not in each] == [
        "info 0",
        "info 1",
        "info 2",
        "another level",
        "another logger",
    ]
    assert sum("error" in each for each in logged()) == 10
    now += 60
    some.info("a minute later")
    assert logged()[-2:] == ["7 lines of the minute before were left out", "a minute later"]
    now += 60
    some.info("and another")
    assert logged()[-1] == "and another"
    assert sum("left out" in each for each in logged()) == 1


def test_a_log_that_cannot_be_written_is_reported(tmp_path):
    with pytest.raises(ConfigError, match="choose another --log-file"):
        logs.configure("info", "text", tmp_path / "nowhere" / "log")


def test_a_log_that_cannot_be_written_any_more_is_ignored(tmp_path, capfd):
    folder = tmp_path / "logs"
    folder.mkdir()
    logs.configure("info", "text", folder / "log")
    shutil.rmtree(folder)
    logging.getLogger("betar_tui.some").info("nowhere")
    assert capfd.readouterr() == ("", "")
    folder.mkdir()
    logging.getLogger("betar_tui.some").info("here again")
    assert logs.tail(folder / "log")[-1].endswith("here again")


def test_the_debug_level_has_no_limit(tmp_path):
    logs.configure("debug", "text", tmp_path / "log")
    for number in range(logs.LINES_A_MINUTE * 2):
        logging.getLogger("betar_tui.some").debug("line %d", number)
    assert len(logs.tail(tmp_path / "log", lines=1000)) == logs.LINES_A_MINUTE * 2


def test_the_tail_of_a_missing_file_is_empty(tmp_path):
    assert logs.tail(tmp_path / "log") == []


async def test_a_peer_logs_its_life(tmp_path):
    def logged() -> list[str]:
        return [line.partition(": ")[2] for line in logs.tail(tmp_path / "a" / "stderr.log")]

    async with served(tmp_path / "a") as a:
        async with served(tmp_path / "b", "--bootstrap", a.address) as b:
            await eventually(lambda: f"{b.peer_id} connected" in logged(), what="the peer that came")
            await a.run("publish", "--name", "swift-ocr", "--price", "1")
        await eventually(lambda: f"{b.peer_id} is gone" in logged(), what="the peer that went")
        listing = f"{a.peer_id}/swift-ocr"
        await a.run("delist", listing)
        a.process.send_signal(signal.SIGTERM)
        await a.process.wait()
    expected = [
        f"betar-tui {__version__}, peer {a.peer_id} in {a.directory}",
        f"listening on {a.address}",
        f"{b.peer_id} connected",
        f"published {listing}",
        f"{b.peer_id} is gone",
        f"delisted {listing}",
        "stopped",
    ]
    assert list(dict.fromkeys(each for each in logged() if each in expected)) == expected
