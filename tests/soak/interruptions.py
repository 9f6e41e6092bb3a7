"""One first sync of 20,000 deltas that is interrupted over and over: by kill -9, and by cutting the connection.

All traffic goes through a proxy, whose bytes are compared with those of a sync that nobody interrupted: what was on its way
at an interruption, and lost, shows there. What the reader holds after an interruption is remembered, and the source notes
each block that it sends: none that was held may be sent again. In the end the chain is complete, without a hole, and the
database sound.
"""

import os
import random
import shutil
import sqlite3
import tempfile
import traceback
from pathlib import Path

import trio

from betar_tui.ipld import cid
from betar_tui.peer import Peer
from betar_tui.sync.dagsync import server as dagsync_server
from tests.bench.common import complete, fill
from tests.interop.mesh import judged_replica
from tests.peers.harness import Served, eventually, peer, served
from tests.proxy import Proxy, open_proxy

COUNT = 20
DELTAS = int(os.environ.get("BETAR_SOAK_DELTAS", "20000"))
AGENTS = 500
WASTE = 4 << 20
"""Bytes that may be on their way at an interruption, and lost: sockets and windows hold so much."""


class Sent:
    """Every block that a source in this process sends, in order, and what its reader held after each interruption."""

    def __init__(self, source: Peer) -> None:
        self._source = source
        self.names: list[bytes] = []
        self._held: list[tuple[int, frozenset[bytes]]] = []
        encode = dagsync_server.encode_section

        def noted(name: bytes, block: bytes) -> bytes:
            self.names.append(name)
            return encode(name, block)

        dagsync_server.encode_section = noted
        source.session.network.on_sent(lambda _, names: self.names.extend(names))  # type: ignore[union-attr]

    def leave_dialling_to(self, reader: Served) -> None:
        """The source would dial a reader that it has lost, past the proxy."""
        network = self._source.session.network
        assert network is not None
        network.address_book.dismiss(reader.peer_id)

    def interrupted(self, directory: Path) -> None:
        """Note what the reader has on its disk now."""
        database = sqlite3.connect(directory / "replica.db")
        rows = database.execute("SELECT digest FROM blocks").fetchall()
        database.close()
        self._held.append((len(self.names), frozenset(cid.DAG_PB + digest for (digest,) in rows)))

    def needless(self) -> int:
        """How many blocks were sent although the reader held them by then."""
        return sum(name in held for since, held in self._held for name in self.names[since:])


async def straight(source: str, directory: Path) -> int:
    """Bytes of a sync that nobody interrupts."""
    async with open_proxy(source) as proxy, served(directory, "--bootstrap", proxy.address) as reader:
        await eventually(lambda: complete(reader, DELTAS), within=300, what="the whole chain")
        return proxy.from_target


async def interrupted(source: str, directory: Path, count: int, rng: random.Random, size: int, sent: Sent) -> int:
    """The same with interruptions, spread over what is left; the bytes it took."""
    async with open_proxy(source) as proxy:
        left = count
        while left:
            async with served(directory, "--bootstrap", proxy.address) as reader:
                sent.leave_dialling_to(reader)
                while left:
                    left -= 1
                    held = (await reader.market.status()).blocks
                    rest = size * (1 - held / DELTAS)
                    await _until(proxy, proxy.from_target + int(rest / (left + 2) * rng.uniform(0.5, 1.5)), reader)
                    if rng.random() < 0.5:
                        reader.process.kill()
                        await reader.process.wait()
                        await eventually(lambda: not proxy.live, what="the connection is gone")
                        _sound(directory)
                        sent.interrupted(directory)
                        break
                    before = proxy.accepted
                    proxy.cut()
                    sent.interrupted(directory)
                    await eventually(lambda: proxy.accepted > before, what="the peer comes back by itself")  # noqa: B023
                else:
                    await eventually(lambda: complete(reader, DELTAS), within=300, what="the whole chain")
                    return proxy.from_target
        async with served(directory, "--bootstrap", proxy.address) as reader:
            await eventually(lambda: complete(reader, DELTAS), within=300, what="the whole chain")
            return proxy.from_target


async def _until(proxy: Proxy, target: int, reader: Served) -> None:
    """Wait for so many bytes, or for the end of the sync."""

    async def over() -> bool:
        return proxy.from_target >= target or await complete(reader, DELTAS)

    await eventually(over, within=120, what="progress")


def _sound(directory: Path) -> int:
    """Check the database; the number of blocks in it."""
    database = sqlite3.connect(directory / "replica.db")
    sound = database.execute("PRAGMA integrity_check").fetchone()
    (blocks,) = database.execute("SELECT count(*) FROM blocks").fetchone()
    database.close()
    assert sound == ("ok",), f"the database is damaged: {sound}"
    return int(blocks)


async def sync(count: int, seed: int, folder: Path) -> None:
    rng = random.Random(seed)
    fill(folder / "full", DELTAS, AGENTS)
    shutil.copytree(folder / "full", folder / "source")
    async with peer(folder / "source") as node:
        source, sent = node.session.addrs[0], Sent(node)
        size = await straight(source, folder / "straight")
        assert len(sent.names) == DELTAS, "a sync that nobody interrupts takes each block once"
        sent.names.clear()
        took = await interrupted(source, folder / "reader", count, rng, size, sent)
    assert _sound(folder / "reader") == DELTAS, "blocks are missing"
    judged_replica(folder / "reader")
    extra = (took - size) / size
    print(
        f"  {count} interruptions: {took / 1e6:.1f} MB for a sync that takes {size / 1e6:.1f} MB"
        f" ({extra:+.1%}, {max(0, took - size) / count / 1e3:.0f} kB an interruption)"
    )
    print(
        f"  {len(sent.names) - DELTAS} blocks were read for it and did not arrive;"
        f" {sent.needless()} were sent though they were held"
    )
    assert not sent.needless(), "blocks that were held were fetched again"
    assert took - size <= count * WASTE + size // 10, "much of it was fetched again"


def run(count: int, seed: int) -> tuple[int, int]:
    """One sync with so many interruptions: passed or failed as a whole."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            trio.run(sync, count, seed, Path(folder))
        except Exception:
            print(f"  FAILED\n{traceback.format_exc()}", flush=True)
            return 0, count
    return count, 0
