"""Metadata files: each that a listing points at has its turn, whatever the others point at."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from betar_tui.ipld import cid, unixfs
from betar_tui.ipld.protobuf import write_bytes
from betar_tui.p2p.types import ReceivedBlock
from betar_tui.peer import metadata_files
from betar_tui.peer.metadata_files import MetadataFiles
from betar_tui.replica import keys
from tests.catalogue.books import Book
from tests.peers.harness import eventually
from tests.simulation.lab import node

HONEST, BLOCK = unixfs.encode_file(b'{"description":"honest"}')


@pytest.fixture(autouse=True)
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of a test would run on while a thread works."""

    async def run_sync(work: Callable[..., object], *args: object) -> object:
        await trio.lowlevel.checkpoint()
        return work(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)


class Wants:
    """A network that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.rounds: list[int] = []
        self.open: set[bytes] = set()
        self.told: list[bytes] = []

    def want(self, names: Iterable[bytes]) -> None:
        fresh = [name for name in names if name not in self.open]
        if fresh:
            self.asked += fresh
            self.rounds.append(len(fresh))
            self.open.update(fresh)

    def cancel(self, names: Iterable[bytes]) -> None:
        self.open.difference_update(names)

    def announce_block(self, name: bytes) -> None:
        self.told.append(name)


class Market:
    """A book, and what describes its listings."""

    def __init__(self, path: Path) -> None:
        self.book, self.network = Book(path), Wants()
        self.store, self.missing = self.book.store, self.book.catalogue.files
        self.read: list[tuple[bytes, ...]] = []
        blocks = self.store.blocks

        def watched(names: Collection[bytes]) -> Mapping[bytes, bytes]:
            self.read.append(tuple(names))
            return blocks(names)

        self.store.blocks = watched  # type: ignore[method-assign]
        self.files = MetadataFiles(self.store, self.missing, self.describe, trio.current_time)

    def describe(self) -> None:
        self.book.work_off(index=False)

    def list(self, *texts: str) -> None:
        """A listing for each of these metadata CIDs."""
        value = '{"id":"%s","name":"n","price":1,"metadata":"%s","sellerId":"s"}'
        self.book.put({keys.of_agent(text): (value % (text, text)).encode() for text in texts}, at=trio.current_time())
        self.book.work_off(now=trio.current_time(), index=False)
        self.files.listings_changed()

    def delist(self, text: str) -> None:
        self.book.delist(keys.of_agent(text))
        self.files.listings_changed()

    def take(self, name: bytes, block: bytes) -> Awaitable[None]:
        return self.files.take(self.network, ReceivedBlock(name, block, "peer"))  # type: ignore[arg-type]

    async def run(self, *steps: Callable[[], Awaitable[None] | None], seconds: float = 1) -> None:
        """Do each of these, and let the time pass after it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.files.run, self.network)
            for step in steps:
                result = step()
                if result is not None:
                    await result
                await trio.sleep(seconds)
            nursery.cancel_scope.cancel()

    def description(self, text: str) -> str:
        listing = self.book.catalogue.get(text)
        assert listing is not None
        return listing.description

    def kept(self) -> dict[bytes, bytes]:
        """The files that are stored."""
        return dict(self.store._db.execute("SELECT cid, data FROM files").fetchall())

    def wanted(self) -> set[str]:
        """The files that are missing."""
        return {text for (text,) in self.store._db.execute("SELECT metadata FROM undescribed")}


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    found = Market(tmp_path / "db")
    yield found
    found.book.close()


def invented(n: int) -> list[str]:
    return [cid.to_str(cid.of(b"invented %d" % number)) for number in range(n)]


async def test_every_file_has_its_turn_however_many_are_invented(market: Market, autojump_clock: MockClock) -> None:
    honest = cid.to_str(HONEST)
    many = invented(20 * metadata_files.MAX_ASKED)
    rounds = (len(many) + 1) / metadata_files.MAX_ASKED + 1
    await market.run(
        lambda: market.list(*many),
        lambda: market.list(honest),
        seconds=rounds * (metadata_files.FETCH_TIMEOUT + metadata_files.BATCH_DELAY),
    )
    assert HONEST in market.network.asked
    assert market.network.asked.count(HONEST) <= 3
    assert max(market.network.rounds) <= metadata_files.MAX_ASKED
    assert len(market.network.open) <= metadata_files.MAX_ASKED
    assert len(set(market.network.asked)) == len(many) + 1


async def test_one_that_did_not_come_rests_and_is_asked_for_again(market: Market, autojump_clock: MockClock) -> None:
    await market.run(
        lambda: market.list(cid.to_str(HONEST)), seconds=metadata_files.RETRY_AFTER - metadata_files.FETCH_TIMEOUT
    )
    assert market.network.asked == [HONEST]
    assert market.network.open == set()
    await market.run(lambda: None, seconds=metadata_files.RETRY_AFTER + 4 * metadata_files.FETCH_TIMEOUT)
    assert market.network.asked.count(HONEST) >= 2


async def test_a_text_that_is_no_cid_is_not_asked_for(market: Market, autojump_clock: MockClock) -> None:
    await market.run(lambda: market.list(*(f"Qm{n}" for n in range(100))))
    assert market.wanted() == set()
    assert market.network.asked == []


async def test_a_file_that_came_describes_its_listing_and_is_kept(market: Market, autojump_clock: MockClock) -> None:
    honest = cid.to_str(HONEST)
    await market.run(
        lambda: market.list(honest),
        lambda: market.take(HONEST, BLOCK),
        seconds=2 * metadata_files.BATCH_DELAY,
    )
    assert market.description(honest) == "honest"
    assert market.kept() == {HONEST: BLOCK}
    assert market.network.told == [HONEST]
    assert market.network.open == set()


@pytest.mark.parametrize("size", [unixfs.MAX_FILE_BLOCK + 1, 1 << 20])
async def test_a_block_that_is_larger_than_a_metadata_file_is_not_kept(
    market: Market, size: int, autojump_clock: MockClock
) -> None:
    block = write_bytes(1, b'\x08\x02\x12\x16{"description":"tiny"}' + write_bytes(15, bytes(size)))
    await market.run(
        lambda: market.list(cid.to_str(cid.of(block))),
        lambda: market.take(cid.of(block), block),
        seconds=2 * metadata_files.BATCH_DELAY,
    )
    assert market.network.asked == [cid.of(block)]
    assert market.kept() == {}
    assert market.network.told == []
    assert market.wanted() == set()


async def test_a_file_that_nothing_points_at_any_more_is_not_kept(market: Market, autojump_clock: MockClock) -> None:
    honest = cid.to_str(HONEST)
    await market.run(
        lambda: market.list(honest),
        lambda: market.delist(honest),
        lambda: market.take(HONEST, BLOCK),
        seconds=2 * metadata_files.BATCH_DELAY,
    )
    assert market.kept() == {}
    assert market.network.told == []


async def test_files_are_read_from_the_store_in_parts_and_deltas_not_at_all(
    market: Market, autojump_clock: MockClock
) -> None:
    deltas = [node((), [(f"/other/{n}", b"x")]) for n in range(300)]
    held = dict(unixfs.encode_file(b'{"description":"%d"}' % n) for n in range(300))
    raw = [cid.RAW + each.cid[4:] for each in deltas]
    market.list(*map(cid.to_str, [*(each.cid for each in deltas), *raw, *held]))
    assert len(market.wanted()) == 900
    market.book.merge(deltas)
    market.store.put_files(held)
    await market.run(lambda: None, seconds=2 * metadata_files.BATCH_DELAY)
    assert max(map(len, market.read)) <= metadata_files.LOOKUP_SIZE
    assert {name for names in market.read for name in names} == held.keys()
    assert market.network.asked == []
    assert market.wanted() == set()
    assert sorted(market.description(cid.to_str(name)) for name in held) == sorted(map(str, range(300)))


async def test_two_texts_that_name_one_file_are_asked_for_once_and_both_described(
    market: Market, autojump_clock: MockClock
) -> None:
    texts = cid.to_str(HONEST), f"f{HONEST.hex()}"
    await market.run(
        lambda: market.list(*texts),
        lambda: market.take(HONEST, BLOCK),
        seconds=2 * metadata_files.BATCH_DELAY,
    )
    assert market.network.asked == [HONEST]
    assert [market.description(text) for text in texts] == ["honest"] * 2


async def test_a_file_whose_want_somebody_else_gave_up_is_asked_for_again(
    market: Market, autojump_clock: MockClock
) -> None:
    """The replica shares it when a hostile delta links to it."""

    def list_it() -> None:
        market.list(cid.to_str(HONEST))

    def give_up() -> None:
        market.network.cancel([HONEST])
        market.files.listings_changed()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(market.files.run, market.network)
        for change in (list_it, give_up):
            change()
            assert not market.network.open
            await eventually(lambda: market.network.open == {HONEST}, what="it is asked for")
        nursery.cancel_scope.cancel()
