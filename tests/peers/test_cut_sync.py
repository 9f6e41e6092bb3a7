"""A first sync whose connection is cut: it goes on where it was, by the fast way."""

from tests.bench.common import fill
from tests.peers.harness import eventually, peer
from tests.proxy import open_proxy

DELTAS = 8000


async def test_after_a_cut_the_rest_comes_by_dagsync_too(tmp_path):
    fill(tmp_path / "a", DELTAS, 50)
    async with (
        peer(tmp_path / "a") as a,
        open_proxy(a.session.addrs[0]) as proxy,
        peer(tmp_path / "b", bootstrap=(proxy.address,)) as b,
    ):
        await proxy.delivered(300_000)
        (before,) = b.session.connections()
        assert b._writer.replica.height == 0, "the cut comes too late to test anything"
        proxy.cut()
        await eventually(lambda: _connected_after(b, before.connected_since), what="they are connected again")
        fetcher = b.session._replication.fetcher
        await eventually(lambda: fetcher.source == a.peer_id, within=10, what="b asks a for the rest at once")
        await eventually(lambda: b._writer.replica.height == DELTAS, what="the whole chain")
        assert not b._writer.replica.wants


def _connected_after(node, since):
    return any(each.connected_since > since for each in node.session.connections())
