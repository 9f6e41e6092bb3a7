"""The demonstration's market: real peers in one child process, which never outlives its parent."""

import fcntl

import trio

from betar_tui.demo import _neighbours, demo_market
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
