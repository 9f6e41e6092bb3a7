"""How the real program leaves its terminal: on signals, stopped, without a terminal, with others that use its peer."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.peers.harness import eventually, served
from tests.terminal.tmux import NO_TMUX, PLAIN, TAKEN, terminal

pytestmark = pytest.mark.skipif(NO_TMUX, reason="no tmux on PATH: there is no terminal to use")


def options(data: Path) -> tuple[str, ...]:
    return "--data-dir", str(data), "--listen", "/ip4/127.0.0.1/tcp/0"


async def begin_draft(window, text: str) -> None:
    await window.shows("○ no peers", "No listings yet")
    await window.in_mode(TAKEN)
    await window.keys("n")
    await window.shows("Publish a listing")
    await window.type(text)
    await window.shows(text)


def kept_draft(data: Path) -> str:
    return json.loads((data / "drafts.json").read_text())[""]["name"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_signal_ends_the_interface_in_order(tmp_path, number):
    data = tmp_path / "data"
    async with terminal(tmp_path, *options(data), shell=True) as window:
        await begin_draft(window, "half-a-name")
        assert (data / "control.sock").exists()
        os.kill(await window.pid(), number)
        await window.shows(f"ended with {128 + number}")
        await window.in_mode(PLAIN)
        assert not (data / "control.sock").exists()
        assert kept_draft(data) == "half-a-name"
        await window.start(*options(data))
        await window.shows("A draft of a new listing is kept")
        await window.keys("n")
        await window.shows("your draft is back", "half-a-name")


async def test_a_second_sigint_ends_it_too(tmp_path):
    async with terminal(tmp_path, *options(tmp_path / "data"), shell=True) as window:
        await begin_draft(window, "half-a-name")
        process = await window.pid()
        os.kill(process, signal.SIGINT)
        os.kill(process, signal.SIGINT)
        await window.shows("ended with 130")
        await window.in_mode(PLAIN)
        assert not (tmp_path / "data" / "control.sock").exists()
        assert kept_draft(tmp_path / "data") == "half-a-name"


async def test_what_was_typed_survives_a_kill(tmp_path):
    data = tmp_path / "data"
    async with terminal(tmp_path, *options(data), shell=True) as window:
        await begin_draft(window, "half-a-name")
        await eventually((data / "drafts.json").exists, what="the draft")
        await eventually(lambda: kept_draft(data) == "half-a-name", what="the whole draft")
        assert (data / "drafts.json").stat().st_mode & 0o777 == 0o600
        os.kill(await window.pid(), signal.SIGKILL)
        await window.shows("ended with 137")
        await window.start(*options(data))
        await window.shows("A draft of a new listing is kept")


@pytest.mark.parametrize("ignored", [True, False])
async def test_it_ends_when_its_terminal_is_gone(tmp_path, ignored):
    data = tmp_path / "data"
    async with terminal(tmp_path, "--version", shell=True) as window:
        await window.shows("ended with 0")
        if ignored:
            await window.type("trap '' HUP\n")
        await window.start(*options(data))
        await begin_draft(window, "half-a-name")
        process = Path(f"/proc/{await window.pid()}")
        await window.tmux("kill-server")
        await eventually(lambda: not process.exists(), within=10, what="the end of the process")
    assert not (data / "control.sock").exists()
    assert kept_draft(data) == "half-a-name"


async def test_it_stops_and_goes_on_as_other_programs_do(tmp_path):
    async with terminal(tmp_path, *options(tmp_path / "data"), shell=True) as window:
        await window.shows("No listings yet")
        await window.in_mode(TAKEN)
        process = await window.pid()
        for stop in (None, signal.SIGTSTP):
            if stop is None:
                await window.keys("C-z")
            else:
                os.kill(process, stop)
            await window.shows("betar-tui is stopped, and so is the peer in it", "Stopped")
            await window.in_mode(PLAIN)
            await window.type("clear; fg\n")
            await window.shows("○ no peers", "No listings yet")
            await window.in_mode(TAKEN)
        os.kill(process, signal.SIGSTOP)  # after which a shell prints over the interface
        await window.shows("Stopped")
        await window.type("fg\n")
        await window.lacks("Stopped")
        await window.keys("F1")
        await window.shows("Main screen", "Close (Esc)")


async def test_it_waits_in_the_background_until_it_is_brought_to_the_front(tmp_path):
    async with terminal(tmp_path, *options(tmp_path / "data"), shell=True) as window:
        await window.shows("No listings yet")
        await window.in_mode(TAKEN)
        await window.keys("C-z")
        await window.shows("Stopped")
        for stops in (1, 2, 3):
            # The system stops what sets the terminal from the background.
            await window.type(f"clear; bg; wait %1; echo stop {stops} ended with $?\n")
            await window.shows(f"stop {stops} ended with {128 + signal.SIGTTOU}")
            await window.in_mode(PLAIN)
        await window.type("clear; fg\n")
        await window.shows("○ no peers", "No listings yet")
        await window.in_mode(TAKEN)
        await window.keys("F1")
        await window.shows("Main screen", "Close (Esc)")


async def test_without_a_shell_to_go_back_to_it_does_not_stop(tmp_path):
    async with terminal(tmp_path, *options(tmp_path / "data")) as window:
        await window.shows("No listings yet")
        await window.keys("C-z")
        await window.shows("There is no shell here")
        await window.in_mode(TAKEN)


async def test_the_first_window_warns_and_the_second_runs_the_peer(tmp_path):
    data = tmp_path / "data"
    async with terminal(tmp_path, *options(data), shell=True) as first:
        await first.shows("No listings yet", "○ no peers")
        second = await first.another(*options(data))
        await second.shows("Attached to the peer")
        await begin_draft(second, "half-a-name")
        await first.keys("q")
        await first.shows("Quit, and stop the peer?", "1 other program uses the peer")
        await first.keys("y")
        await first.shows("ended with 0")
        await second.shows("✗ lost the peer", "half-a-name")
        await second.keys("Escape")
        await second.shows("The peer is gone: o runs it in this window")
        await second.keys("o")
        await second.shows("○ no peers", "No listings yet")
        await second.keys("n")
        await second.shows("your draft is back", "half-a-name")
        assert (data / "control.sock").exists()


async def test_a_window_says_that_the_peer_of_another_one_is_stopped(tmp_path):
    data = tmp_path / "data"
    async with served(data) as peer, terminal(tmp_path, "--data-dir", str(data)) as window:
        await window.shows("Attached to the peer", "○ no peers")
        os.kill(peer.process.pid, signal.SIGSTOP)
        await window.shows("✗ The peer does not answer")
        os.kill(peer.process.pid, signal.SIGCONT)
        await window.lacks("does not answer")
