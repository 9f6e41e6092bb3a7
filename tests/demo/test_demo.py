"""The demonstration's market: real peers in one child process, which never outlives its parent."""

import fcntl
import logging
import os
import signal
import sys
from contextlib import asynccontextmanager

import pytest
import trio

from betar_tui import demo
from betar_tui import demo_market as market_module
from betar_tui.demo import _joined, _neighbours, demo_market, run_demo
from betar_tui.demo_market import AGENTS, _agent, demo_config
from betar_tui.files.temporary import temporary_directory
from betar_tui.market.marketplace import Provenance
from tests.peers.harness import eventually


async def test_the_market_comes_to_life_and_ends_with_us(tmp_path):
    async with demo_market(tmp_path) as node:
        found = (await node.listings()).listings
        assert len({each.seller_id for each in found}) == 5, "the market of before is there at once"
        assert {each.provenance for each in found} == {Provenance.VERIFIED}
        before = (await node.status()).height
        await eventually(lambda: node._writer.replica.height > before, within=60, what="trade going on")
        assert await node.peers()


def test_the_demonstration_looks_for_nobody_outside(tmp_path):
    config = demo_config(tmp_path)
    assert (config.mdns, config.dht, config.upnp) == (False, False, False)


async def test_a_child_whose_parent_was_killed_removes_what_both_have_stored(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_directory("demo-") as (folder, lock):
        async with _neighbours(folder, lock=lock) as child:
            assert child.stdin is not None and child.stdout is not None
            assert await child.stdout.receive_some()
            fcntl.flock(lock, fcntl.LOCK_UN)  # as the end of this process does
            await child.stdin.aclose()
            with trio.fail_after(30):
                await child.wait()
            assert not folder.exists()


async def test_a_file_of_the_current_directory_is_not_taken_for_a_module(monkeypatch, tmp_path):
    (tmp_path / "here").mkdir()
    planted = f"open({str(tmp_path / 'ran')!r}, 'w').close()\nraise SystemExit(3)\n"
    for name in ("trio.py", "random.py", "betar_tui.py"):
        (tmp_path / "here" / name).write_text(planted)
    monkeypatch.chdir(tmp_path / "here")
    async with _neighbours(tmp_path) as child:
        assert child.stdout is not None
        assert await child.stdout.receive_some()
    assert not (tmp_path / "ran").exists()


async def test_the_demo_is_told_at_once_that_the_child_has_ended(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(demo, "STORED_TIMEOUT", 3600.0)
    with caplog.at_level(logging.ERROR), trio.fail_after(60):
        child = await trio.lowlevel.open_process([sys.executable, "-c", ""], stdout=-1)
        async with _joined(tmp_path, child) as peer:
            assert not (await peer.listings()).listings
        await child.wait()
    assert "the process of the other peers has ended" in caplog.text


async def test_a_market_of_before_that_cannot_be_read_is_not_waited_for(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(demo, "STORED_TIMEOUT", 3600.0)
    told = f"import sys, time; print({market_module.STORED!r}, flush=True); sys.stdin.read()"
    with caplog.at_level(logging.WARNING), trio.fail_after(60):
        child = await trio.lowlevel.open_process([sys.executable, "-c", told], stdin=-1, stdout=-1)
        async with _joined(tmp_path, child) as peer:
            assert not (await peer.listings()).listings
        child.kill()
        await child.wait()
    assert "the demo goes on without stored" in caplog.text


async def test_signals_and_the_watchdog_hold_until_all_is_closed(monkeypatch):
    handlers = []

    async def app(marketplace, *, options):
        pass

    @asynccontextmanager
    async def neighbours(folder, seed="", lock=None):
        yield None
        handlers.append(signal.getsignal(signal.SIGTERM))

    monkeypatch.setattr("betar_tui.logs.configure", lambda *given: None)
    monkeypatch.setattr("betar_tui.tui.run.run_app", app)
    monkeypatch.setattr(demo, "_neighbours", neighbours)
    before = signal.getsignal(signal.SIGTERM)
    assert await run_demo() == 0
    assert callable(handlers[0]) and handlers[0] is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_market_that_fails_removes_its_folder_too(monkeypatch, tmp_path):
    async def failing(folder):
        raise OSError("no room")

    monkeypatch.setattr("betar_tui.logs.configure", lambda *given: None)
    monkeypatch.setattr(market_module, "_market", failing)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_directory("demo-") as (folder, lock):
        fcntl.flock(lock, fcntl.LOCK_UN)  # as the end of the other process does
        with pytest.raises(OSError, match="no room"):
            market_module.main(str(folder), str(os.dup(lock)))
        assert not folder.exists()


async def test_the_child_ends_when_its_parent_is_gone(tmp_path):
    async with _neighbours(tmp_path) as child:
        assert child.stdin is not None and child.stdout is not None
        assert await child.stdout.receive_some()
        await child.stdin.aclose()
        with trio.fail_after(15):
            await child.wait()


def test_names_of_one_seller_are_unique():
    for number in range(5):
        names = [_agent(number, at).name for at in range(6)]
        assert len(set(names)) == len(names)
    assert all(price > 0 for _, price, _ in AGENTS)
