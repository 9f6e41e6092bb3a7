"""The demonstration's market: real peers in one child process, which never outlives its parent."""

import trio

from betar_tui.demo import AGENTS, _agent, _config, _join, _neighbours
from betar_tui.peer import open_peer
from tests.peers.harness import eventually


async def test_the_market_comes_to_life_and_ends_with_us(tmp_path):
    async with (
        _neighbours(tmp_path) as child,
        open_peer(_config(tmp_path / "you"), network=True) as node,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_join, node, child)

        async def several_sellers() -> bool:
            return len({each.seller_id for each in (await node.listings()).listings}) >= 3

        await eventually(several_sellers, within=60, what="listings of three sellers")
        before = (await node.status()).height
        await eventually(lambda: node._writer.replica.height > before, within=30, what="trade going on")
        nursery.cancel_scope.cancel()
    assert child.returncode is not None


def test_the_demonstration_looks_for_nobody_outside(tmp_path):
    config = _config(tmp_path)
    assert (config.mdns, config.dht, config.upnp) == (False, False, False)


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
