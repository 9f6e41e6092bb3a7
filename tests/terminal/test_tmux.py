"""The real program in a real terminal, used with the keyboard."""

import json
import socket

import pytest

from tests.peers.harness import eventually, served
from tests.terminal.tmux import NO_TMUX, terminal

pytestmark = pytest.mark.skipif(NO_TMUX, reason="no tmux on PATH: there is no terminal to use")


async def test_a_listing_appears_and_one_is_published_and_delisted(tmp_path):
    mine = tmp_path / "mine"
    async with served(tmp_path / "other") as other:
        arguments = ["--data-dir", str(mine), "--listen", "/ip4/127.0.0.1/tcp/0", "--bootstrap", other.address]
        async with terminal(tmp_path, *arguments) as window:
            await window.shows("No listings yet", "n Publish")
            await window.shows("● online", "peers 1")
            await other.run("publish", "--name", "lucid-ocr", "--price", "0.05")
            await window.shows("lucid-ocr", "0.05", "✓")

            await window.keys("n")
            await window.shows("Publish", "Name", "Price")
            await window.type("swift-tts")
            await window.keys("Tab")
            await window.type("0.25")
            await window.shows("swift-tts", "0.25")
            await window.keys("F2")
            await window.shows("stored, sent to 1 peer")
            await window.shows("lucid-ocr", "swift-tts")

            async def at_the_other() -> bool:
                listed = json.loads((await other.run("list", "--json")).stdout)
                return {each["name"] for each in listed} == {"lucid-ocr", "swift-tts"}

            await eventually(at_the_other, what="the listing at the other peer")

            await window.keys("/")
            await window.type("tts")
            await window.lacks("lucid-ocr")
            await window.keys("Enter")
            await window.lacks("Back to the table")
            await window.keys("d")
            await window.shows("Delist", "swift-tts")
            await window.keys("y")

            async def gone_at_the_other() -> bool:
                listed = json.loads((await other.run("list", "--json")).stdout)
                return {each["name"] for each in listed} == {"lucid-ocr"}

            await eventually(gone_at_the_other, what="the listing gone at the other peer")
            await window.keys("Escape")
            await window.shows("lucid-ocr")


async def test_settings_are_kept_and_what_is_wrong_with_them_is_said(tmp_path):
    data = tmp_path / "data"
    arguments = ("--data-dir", str(data), "--listen", "/ip4/127.0.0.1/tcp/0")
    data.mkdir(mode=0o700)
    file = data / "config.toml"
    file.write_text('# mine\n[interface]\ndensity = "roomy"\n[interface.keys]\npublish = "P"\n')
    async with terminal(tmp_path, *arguments) as window:
        await window.shows("compact is used", "or P to publish")
        await window.keys(",")
        await window.shows("(•) betar-dark")
        await window.keys("Down", "Enter")
        await window.shows("(•) betar-light")

        async def kept() -> bool:
            return 'theme = "betar-light"' in file.read_text()

        await eventually(kept, what="the theme in config.toml")
        assert file.read_text().startswith("# mine")
    async with terminal(tmp_path, *arguments) as window:
        await window.shows("or P to publish")
        await window.keys(",")
        await window.shows("(•) betar-light")


async def test_an_attached_interface_loses_its_peer_and_finds_it_again(tmp_path):
    mine = tmp_path / "mine"
    async with (
        served(tmp_path / "other") as other,
        served(mine, "--bootstrap", other.address) as peer,
        terminal(tmp_path, "--data-dir", str(mine)) as window,
    ):
        await window.shows("Attached to the peer", "● online", "peers 1")
        await window.keys("2")
        await window.shows(f"{other.peer_id[:4]}…")
        peer.process.kill()
        await window.shows("✗ lost the peer", "The peers cannot be read")
        await window.lacks(f"{other.peer_id[:4]}…")
        async with served(mine, "--bootstrap", other.address):
            await window.keys("r")
            await window.shows("● online", "peers 1", f"{other.peer_id[:4]}…")


async def test_a_port_that_is_taken_leaves_the_interface_offline_until_a_key_takes_a_free_one(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"/ip4/127.0.0.1/tcp/{other.getsockname()[1]}"
        async with terminal(tmp_path, "--data-dir", str(tmp_path / "mine"), "--listen", address) as window:
            await window.shows("✗ offline", f"Cannot listen on {address}: o takes a free port")
            await window.keys("o")
            await window.shows("○ no peers, nothing to try", "The port is in use; a free one was taken instead")
