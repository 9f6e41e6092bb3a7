"""The log: its forms, its limit, and what a peer writes of its life."""

import json
import logging
import signal
from collections.abc import Iterator

import pytest

from betar_tui import logs
from betar_tui.errors import ConfigError

from ..peers.harness import eventually, served


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


def test_a_line_of_text_tells_when_how_grave_and_from_where(tmp_path):
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


def test_a_limited_file_makes_room_and_one_older_is_kept(tmp_path):
    logs.configure("info", "text", tmp_path / "log", limit=2000)
    for number in range(200):
        logging.getLogger("betar_tui.some").info("line %d", number)
    assert {each.name for each in tmp_path.iterdir()} == {"log", "log.1"}
    assert all(each.stat().st_size <= 2000 for each in tmp_path.iterdir())
    assert logs.tail(tmp_path / "log")[-1].endswith("line 199")


def test_a_named_file_only_grows(tmp_path):
    logs.configure("info", "text", tmp_path / "log")
    for number in range(200):
        logging.getLogger("betar_tui.some").info("line %d", number)
    assert len(logs.tail(tmp_path / "log", lines=1000)) == 200


def test_a_log_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(ConfigError, match="choose another --log-file"):
        logs.configure("info", "text", tmp_path / "nowhere" / "log")


def test_the_tail_of_no_file_is_nothing(tmp_path):
    assert logs.tail(tmp_path / "log") == []


async def test_a_peer_tells_of_its_life(tmp_path):
    async with served(tmp_path / "a") as a:
        async with served(tmp_path / "b", "--bootstrap", a.address) as b:

            async def both_there() -> bool:
                return bool((await a.market.status()).topic_peers)

            await eventually(both_there, what="both on the topic")
            await a.run("publish", "--name", "swift-ocr", "--price", "1")
        listing = f"{a.peer_id}/swift-ocr"
        await a.run("delist", listing)
        a.process.send_signal(signal.SIGTERM)
        await a.process.wait()
    told = [line.partition(": ")[2] for line in logs.tail(a.directory / "stderr.log")]
    assert [each for each in told if b.peer_id not in each] == [
        f"betar-tui 0.1.0, peer {a.peer_id} in {a.directory}",
        f"listening on {a.address}",
        f"published {listing}",
        f"delisted {listing}",
        "stopped",
    ]
    assert [f"{b.peer_id} joined the topic", f"{b.peer_id} left the topic"] == [
        each for each in told if each.endswith("the topic")
    ]
