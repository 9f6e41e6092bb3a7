"""Metadata files: each that a listing points at has its turn, whatever the others point at."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

import pytest
import trio
from trio.testing import MockClock

from betar_tui.ipld import cid, unixfs
from betar_tui.ipld.protobuf import write_bytes
from betar_tui.market.catalogue import Catalogue
from betar_tui.p2p.types import ReceivedBlock
from betar_tui.peer import metadata_files
from betar_tui.peer.metadata_files import MetadataFiles
from betar_tui.replica import Applied, Effect, keys
from betar_tui.replica.facts import Winner
from tests.market.values import SIGNER
from tests.peers.harness import eventually

HONEST, BLOCK = unixfs.encode_file(b'{"description":"honest"}')


@pytest.fixture(autouse=True)
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of a test would run on while a thread works."""

    async def run_sync(work: Callable[..., object], *args: object) -> object:
        await trio.lowlevel.checkpoint()
        return work(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)


class Blocks:
    """A store of files and deltas that remembers what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[bytes, bytes] = {}
        self.deltas: dict[bytes, bytes] = {}
        self.read: list[tuple[bytes, ...]] = []

    def stored(self, names: Collection[bytes]) -> Mapping[bytes, bool]:
        held = {name[-32:] for name in self.deltas}
        return {cid.DAG_PB + name[-32:]: True for name in names if name[-32:] in held}

    def blocks(self, names: Collection[bytes]) -> Mapping[bytes, bytes]:
        self.read.append(tuple(names))
        held = self.files | self.deltas
        return {name: held[name] for name in names if name in held}

    def put_files(self, files: Mapping[bytes, bytes]) -> None:
        self.files.update(files)


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

    def __init__(self) -> None:
        self.book, self.store, self.network = Catalogue(SIGNER.peer_id), Blocks(), Wants()
        self.files = MetadataFiles(self.store, self.book, list, trio.current_time)  # type: ignore[arg-type]

    def list(self, *texts: str) -> None:
        """A listing for each of these metadata CIDs."""
        effects = []
        for text in texts:
            value = b'{"id":"%s","name":"n","price":1,"metadata":"%s","sellerId":"s"}' % ((text.encode(),) * 2)
            effects.append(Effect(keys.of_agent(text), None, Winner(1, value, cid.of(value))))
        self.book.apply(self.book.decode(Applied((), tuple(effects), "peer", 5.0)))
        self.files.listings_changed()

    def delist(self, text: str) -> None:
        self.book.apply(self.book.decode(Applied((), (Effect(keys.of_agent(text), None, None),), "peer", 5.0)))
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
        listing = self.book.get(text)
        assert listing is not None
        return listing.description


def invented(n: int) -> list[str]:
    return [cid.to_str(cid.of(b"invented %d" % number)) for number in range(n)]


async def test_every_file_has_its_turn_however_many_are_invented(autojump_clock: MockClock) -> None:
    market = Market()
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


async def test_one_that_did_not_come_rests_and_is_asked_for_again(autojump_clock: MockClock) -> None:
    market = Market()
    await market.run(
        lambda: market.list(cid.to_str(HONEST)), seconds=metadata_files.RETRY_AFTER - metadata_files.FETCH_TIMEOUT
    )
    assert market.network.asked == [HONEST]
    assert market.network.open == set()
    await market.run(lambda: None, seconds=metadata_files.RETRY_AFTER + 4 * metadata_files.FETCH_TIMEOUT)
    assert market.network.asked.count(HONEST) >= 2


async def test_others_have_their_turn_while_many_cids_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market()
    parsed = longest = 0

    def parse(text: str) -> None:
        nonlocal parsed
        parsed += 1

    monkeypatch.setattr(unixfs, "parse_cid", parse)
    market.list(*(f"Qm{n}" for n in range(1000)))
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(market.files.run, market.network)
            while market.book.undescribed():
                await trio.lowlevel.checkpoint()
                longest, parsed = max(longest, parsed), 0
            nursery.cancel_scope.cancel()
    assert 0 < longest <= 2 * metadata_files.LOOKUP_SIZE


async def test_a_file_that_came_describes_its_listing_and_is_kept(autojump_clock: MockClock) -> None:
    market = Market()
    honest = cid.to_str(HONEST)
    await market.run(
        lambda: market.list(honest),
        lambda: market.take(HONEST, BLOCK),
        seconds=2 * metadata_files.BATCH_DELAY,
    )
    assert market.description(honest) == "honest"
    assert market.store.files == {HONEST: BLOCK}
    assert market.network.told == [HONEST]
    assert market.network.open == set()


@pytest.mark.parametrize("size", [unixfs.MAX_FILE_BLOCK + 1, 1 << 20])
async def test_a_block_that_is_larger_than_a_metadata_file_is_not_kept(size: int, autojump_clock: MockClock) -> None:
    market = Market()
    block = write_bytes(1, b'\x08\x02\x12\x16{"description":"tiny"}' + write_bytes(15, bytes(size)))
    await market.run(
        lambda: market.list(cid.to_str(cid.of(block))),
        lambda: market.take(cid.of(block), block),
        seconds=2 * metadata_files.BATCH_DELAY,
    )
    assert market.network.asked == [cid.of(block)]
    assert market.store.files == {}
    assert market.network.told == []
    assert market.book.undescribed() == set()


async def test_a_file_that_nothing_points_at_any_more_is_not_kept(autojump_clock: MockClock) -> None:
    market = Market()
    honest = cid.to_str(HONEST)
    await market.run(
        lambda: market.list(honest),
        lambda: market.delist(honest),
        lambda: market.take(HONEST, BLOCK),
        seconds=2 * metadata_files.BATCH_DELAY,
    )
    assert market.store.files == {}
    assert market.network.told == []


async def test_files_are_read_from_the_store_in_parts_and_deltas_not_at_all(autojump_clock: MockClock) -> None:
    market = Market()
    deltas = {cid.of(block): block for block in (b"delta %d" % n for n in range(300))}
    held = dict(unixfs.encode_file(b'{"description":"%d"}' % n) for n in range(300))
    market.store.deltas, market.store.files = deltas, held
    raw = [cid.RAW + name[4:] for name in deltas]
    await market.run(
        lambda: market.list(*map(cid.to_str, [*deltas, *raw, *held])), seconds=2 * metadata_files.BATCH_DELAY
    )
    assert max(map(len, market.store.read)) <= metadata_files.LOOKUP_SIZE
    assert {name for names in market.store.read for name in names} == held.keys()
    assert market.network.asked == []
    assert market.book.undescribed() == set()
    assert sorted(market.description(cid.to_str(name)) for name in held) == sorted(map(str, range(300)))


async def test_two_texts_that_name_one_file_are_asked_for_once_and_both_described(autojump_clock: MockClock) -> None:
    market = Market()
    texts = cid.to_str(HONEST), f"f{HONEST.hex()}"
    await market.run(
        lambda: market.list(*texts),
        lambda: market.take(HONEST, BLOCK),
        seconds=2 * metadata_files.BATCH_DELAY,
    )
    assert market.network.asked == [HONEST]
    assert [market.description(text) for text in texts] == ["honest"] * 2


async def test_a_file_whose_want_somebody_else_gave_up_is_asked_for_again(autojump_clock: MockClock) -> None:
    """The replica shares it when a hostile delta links to it."""
    market = Market()

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
