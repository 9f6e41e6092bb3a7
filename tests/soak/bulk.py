"""kill -9 of a bulk import, again and again, and the catalogue that it leaves.

A process imports a market, makes the rows of its listings and puts their texts into the search index. It is killed at any
time from its first merge to its end, and the next one goes on with what it left. After each kill a copy of the store is
opened, its backlog worked off, and what the catalogue then says compared with one made afresh of another copy, down to each
entry of the search index. A market that is all there makes room for another.
"""

import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import closing
from pathlib import Path

from betar_tui.ipld import cid, unixfs
from betar_tui.ipld.car import encode_header, encode_section
from betar_tui.replica import DagNode
from betar_tui.store.database import open_store
from tests.catalogue.books import forged, judge, unsigned
from tests.market.values import SEED, key, value
from tests.simulation.lab import node

COUNT = 200
DELTAS, LISTINGS = 400, 250
ROOT = Path(__file__).parents[2]

WORKER = """
import sys
from pathlib import Path
import trio
sys.path.insert(0, sys.argv[3])
from betar_tui.catalogue import backlog
from betar_tui.peer import importing, open_peer
from tests.peers.harness import config
importing.SLICE, backlog.ROWS, backlog.TEXTS = 64, 40, 20

async def main():
    async with open_peer(config(Path(sys.argv[1])), network=True, start=trio.Event()) as peer:
        print("open", flush=True)
        await peer.import_car(sys.argv[2])
        progress = peer._catalogue.backlog.progress
        while progress.rows or progress.texts:
            await trio.sleep(0.005)
        print("done", flush=True)

trio.run(main)
"""


class Market:
    """A market in a file, and the data directory that it is imported into."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.directory, self.archive = folder / "peer", folder / "market.car"
        self.directory.mkdir(parents=True, mode=0o700)
        identity = self.directory / "identity.key"
        identity.write_bytes(SEED)
        identity.chmod(0o600)
        files = dict(unixfs.encode_file(b'{"description":"file %d","tier":"gold"}' % n) for n in range(20))
        chain = _chain(rng, list(files))
        sections = [(each.cid, each.data) for each in chain] + list(files.items())
        rng.shuffle(sections)
        self.archive.write_bytes(encode_header([chain[-1].cid]) + b"".join(encode_section(*each) for each in sections))

    @property
    def database(self) -> Path:
        """The store that the imports write."""
        return self.directory / "replica.db"

    def state(self) -> str:
        """What an import has left, in two words."""
        with closing(open_store(self.database)) as store, store.transaction() as db:
            (rows, texts) = db.execute(
                "SELECT (SELECT count(*) FROM unprojected), (SELECT count(*) FROM unindexed)"
            ).fetchone()
            if rows or texts:
                return "rows waiting" if rows else "texts waiting"
            return "deltas missing" if store.totals().blocks < DELTAS else "all there"


def _chain(rng: random.Random, files: list[bytes]) -> list[DagNode]:
    """Deltas of one to a few listings, oldest first: new ones, changed ones, removed ones, and some that are none."""
    last: dict[str, DagNode] = {}
    chain: list[DagNode] = []
    while len(chain) < DELTAS:
        names = [f"agent-{rng.randrange(LISTINGS)}" for _ in range(rng.choice((1, 1, 1, 5, 60)))]
        puts = {key(name): _version(rng, name, files) for name in names}
        gone = [each for each in rng.sample(sorted(last), len(last) // 20) if each not in puts and rng.random() < 0.3]
        new = node(chain[-1:], puts.items(), [(each, last[each]) for each in gone], len(chain) + 1)
        last.update(dict.fromkeys(puts, new))
        chain.append(new)
    return chain


def _version(rng: random.Random, name: str, files: list[bytes]) -> bytes:
    price, fate = rng.randrange(10_000) / 100, rng.random()
    if fate < 0.1:
        return forged(name, price)
    if fate < 0.2:
        return rng.choice((b"[", b"junk", b"{}"))
    if fate < 0.5:
        return unsigned(name, price=price, metadata=cid.to_str(rng.choice(files)))
    return value(name, price=price, description=f"reads {rng.choice(('scans', 'letters', 'stars'))}")


def _life(market: Market, rng: random.Random, whole: float) -> float:
    """Start an import and kill it within `whole` seconds; returns how long it took if it ended before."""
    command = [sys.executable, "-c", WORKER, str(market.directory), str(market.archive), str(ROOT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "open\n"
        began = time.monotonic()
        try:
            worker.wait(rng.uniform(0.0, whole * 0.9))
        except subprocess.TimeoutExpired:
            worker.kill()
            return whole
        assert worker.returncode == 0, worker.returncode
        return time.monotonic() - began


def run(count: int, seed: int) -> tuple[int, int]:
    """How many lives left a catalogue that is right and how many did not."""
    rng = random.Random(seed)
    good = bad = 0
    whole, left = 0.0, Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = Market(folder / "first", rng)
        whole = _life(first, rng, 60.0)
        assert first.state() == "all there", first.state()
        print(f"  an import takes {whole:.2f} s", flush=True)
        market = Market(folder / "0", rng)
        for n in range(count):
            try:
                _life(market, rng, whole)
                judge(market.database, folder / "judged.db", folder / "afresh.db")
                good += 1
            except Exception:
                bad += 1
                print(f"  FAILED life {n}\n{traceback.format_exc()}", flush=True)
            left[market.state()] += 1
            if market.state() == "all there":
                market = Market(folder / str(n + 1), rng)
            if (n + 1) % 10 == 0:
                print(f"  {n + 1} kills, which left: {_counted(left)}", flush=True)
    return good, bad


def _counted(left: Counter[str]) -> str:
    return ", ".join(f"{what} {n} times" for what, n in left.most_common())
