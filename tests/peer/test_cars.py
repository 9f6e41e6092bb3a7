"""What an import makes of files of other programs: merged or refused in one sentence, and nothing is left of what is no
delta (see cars/README.md)."""

import gzip
import os
from pathlib import Path

import pytest
import trio

from betar_tui.errors import ArchiveError
from betar_tui.ipld import car, cid, unixfs
from betar_tui.ipld.protobuf import write_bytes
from betar_tui.market.marketplace import Difference, ListingDraft
from betar_tui.output import import_report
from betar_tui.peer import Peer, importing, open_peer
from betar_tui.replica import delta, node
from betar_tui.store.database import open_store
from tests.peers.harness import config, peer, values

CARS = Path(__file__).parent / "cars"
NO_DELTA = importing.NO_DELTA
ADDRESS = "/ip4/192.0.2.1/tcp/4001"


def delta_node(*links: bytes, key: str = "/agents/a", height: int = 1) -> bytes:
    return node.encode_node(links, delta.encode([(key, b"v")], [], height))


def folder(*links: bytes) -> bytes:
    return node.encode_node(links, b"\x08\x01")


def write(path: Path, *blocks: bytes, roots: tuple[bytes, ...] = ()) -> str:
    path.write_bytes(car.encode_header(roots) + b"".join(car.encode_section(cid.of(each), each) for each in blocks))
    return str(path)


async def state(one: Peer) -> tuple[object, ...]:
    status = await one.status()
    return await one.heads(), await one.log(), status.pending, status.listings, one._writer.replica.wants


@pytest.mark.parametrize(
    ("name", "files", "skipped", "absent"),
    [
        ("market", 2, {}, 0),
        ("js-market", 2, {}, 0),
        ("js-no-roots", 2, {}, 0),
        ("js-mixed", 2, {NO_DELTA: 5, "dag-cbor": 2, "dag-pb under sha2-512": 1}, 2),
        ("go-v1", 2, {}, 0),
        ("go-v2", 2, {}, 0),
        ("go-v2-padded", 2, {}, 0),
        ("go-export", 0, {}, 0),
    ],
)
async def test_a_market_is_merged_whoever_wrote_it(tmp_path, name, files, skipped, absent):
    async with open_peer(config(tmp_path), network=False) as one:
        done = await one.import_car(str(CARS / f"{name}.car"))
        assert (done.new, done.known, done.files, done.missing) == (4, 0, files, 0)
        assert {each.reason: each.blocks for each in done.skipped_by_reason} == skipped
        assert (done.skipped, done.absent_roots) == (sum(skipped.values()), absent)
        heads, log, pending, listings, wants = await state(one)
        assert (len(heads), len(log), pending, listings, wants) == (1, 4, 0, 3, frozenset())
        listed = (await one.listings()).listings
        # The third one was delisted before withdrawals were signed: a tombstone alone could be anybody's.
        here = [each for each in listed if not each.difference]
        assert {each.description for each in here} == ({"reads scans", "writes verse"} if files else {""})
        assert [each.difference for each in listed if each not in here] == [Difference.REMOVED]
        again = await one.import_car(str(CARS / f"{name}.car"))
        assert (again.new, again.known, again.files, again.skipped) == (0, 4, files, done.skipped)
    async with open_peer(config(tmp_path), network=False) as one:
        for each in (await one.listings()).listings:
            shown = await one.show(each.id)
            assert each.difference or bool(shown.listing.description and shown.document) is bool(files)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "js-folder",
            ["none of its 5 blocks is a delta", f"5 blocks were skipped: 5 {NO_DELTA}"],
        ),
        (
            "go-export-folder",
            ["none of its 5 blocks is a delta", f"5 blocks were skipped: 5 {NO_DELTA}"],
        ),
        (
            "js-foreign",
            ["none of its 2 blocks is a delta", "2 blocks were skipped: 1 dag-cbor, 1 dag-pb under sha2-512"],
        ),
    ],
)
async def test_what_is_no_market_changes_nothing(tmp_path, name, says):
    async with open_peer(config(tmp_path), network=False) as one:
        await one.publish([ListingDraft("mine", 1)])
        before = await state(one)
        done = await one.import_car(str(CARS / f"{name}.car"))
        report = import_report(done)
        assert [says in line for says, line in zip(says, report, strict=True)] == [True] * len(says)
        assert await state(one) == before
    store = open_store(tmp_path / "replica.db")
    assert not store.blocks([section.cid for section in sections(f"{name}.car")])
    store.close()


def sections(name: str):
    reader = importing.CarFileReader()
    return [each for each in reader.feed((CARS / name).read_bytes()) if isinstance(each, importing.Section)]


async def test_what_is_no_market_is_not_wanted_by_a_running_peer(tmp_path):
    async with peer(tmp_path) as one:
        before = await state(one)
        for name in ("js-folder", "go-export-folder", "js-foreign"):
            await one.import_car(str(CARS / f"{name}.car"))
        assert await state(one) == before


@pytest.mark.parametrize("name", ["market", "go-v2"])
async def test_a_compressed_file_is_named_and_what_unpacks_it(tmp_path, name):
    packed = tmp_path / f"{name}.car.gz"
    packed.write_bytes(gzip.compress((CARS / f"{name}.car").read_bytes()))
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        with pytest.raises(ArchiveError) as caught:
            await one.import_car(str(packed))
        command = f"gunzip -c {name}.car.gz > {name}.car"
        assert str(caught.value) == (
            f"{packed} is compressed with gzip; unpack it with `{command}` and import what that writes"
        )
        await trio.run_process(command, shell=True, cwd=tmp_path)
        assert (await one.import_car(str(tmp_path / f"{name}.car"))).new == 4


@pytest.mark.parametrize(
    ("cut", "new", "says"),
    [
        (5, 0, "is not a CAR file, or is cut short in its header; nothing of it is merged"),
        (100, 0, "is cut short: it ends in the middle of a block; nothing new was merged from it; import a whole copy"),
        (
            -500,
            3,
            "is cut short: it ends in the middle of a block; 3 new deltas before that are merged; "
            "import a whole copy for the rest",
        ),
    ],
)
async def test_a_file_that_is_cut_gives_what_lies_before_the_cut(tmp_path, cut, new, says):
    short = tmp_path / "short.car"
    short.write_bytes((CARS / "market.car").read_bytes()[:cut])
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        with pytest.raises(ArchiveError) as caught:
            await one.import_car(str(short))
        assert str(caught.value) == f"{short} {says}"
        assert len(await one.log()) == new
        assert (await one.import_car(str(CARS / "market.car"))).new == 4 - new
        assert (await one.status()).pending == 0


async def test_what_lies_before_a_cut_is_announced_and_what_is_missing_is_wanted(tmp_path):
    oldest, newest = delta_node(), delta_node(cid.of(delta_node()), height=2)
    file = tmp_path / "short.car"
    write(file, newest, oldest)
    file.write_bytes(file.read_bytes()[:-5])
    async with peer(tmp_path / "one") as one:
        with pytest.raises(ArchiveError, match="1 new delta before that is merged"):
            await one.import_car(str(file))
        assert (await one.status()).pending == 1
        assert one.session._replication.fetcher.asked(cid.of(oldest))


async def test_what_cannot_be_a_file_is_refused(tmp_path):
    (tmp_path / "empty.car").touch()
    os.mkfifo(tmp_path / "pipe.car")
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        for path, says in (
            (tmp_path / "empty.car", "is empty"),
            (tmp_path / "pipe.car", "it is a fifo, not a regular file"),
            (Path("/dev/zero"), "it is a device, not a regular file"),
            (tmp_path, "is a directory"),
            (tmp_path / "none.car", "cannot read .*none.car: No such file"),
            (CARS / "README.md", "is not a CAR file"),
            (CARS / "go-v2-unfinished.car", "was not finished by the program that writes it"),
        ):
            with pytest.raises(ArchiveError, match=says) as caught:
                await one.import_car(str(path))
            assert "\n" not in str(caught.value)


async def test_the_history_below_a_folder_that_a_delta_links_to_is_read_in_any_order(tmp_path):
    """As Go makes it: see tests/interop/test_not_deltas.py. The folders come before what links to them."""
    root = delta_node()
    inner = folder(cid.of(root))
    outer = folder(cid.of(inner))
    tip = delta_node(cid.of(outer), key="/agents/b", height=2)
    lonely = folder(cid.of(tip))
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        done = await one.import_car(write(tmp_path / "any.car", lonely, root, inner, outer, tip))
        assert (done.new, done.skipped, done.missing) == (4, 1, 0)
        assert [head.cid for head in await one.heads()] == [cid.to_str(cid.of(tip))]
        await one.export_car(str(tmp_path / "out.car"))
    async with open_peer(config(tmp_path / "other"), network=False) as other:
        assert (await other.import_car(str(tmp_path / "out.car"))).new == 4
    assert values(tmp_path / "one") == values(tmp_path / "other")


async def test_a_delta_without_a_priority_is_merged(tmp_path):
    silent = node.encode_node((), write_bytes(1, write_bytes(1, b"/agents/a") + write_bytes(3, b"v")))
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        done = await one.import_car(write(tmp_path / "x.car", silent, roots=(cid.of(silent),)))
        assert (done.new, done.skipped, done.absent_roots) == (1, 0, 0)
        assert [each.height for each in await one.heads()] == [0]


# --- metadata files -----------------------------------------------------------------------------


async def test_metadata_files_travel_with_the_listings_that_point_at_them(tmp_path):
    async with open_peer(config(tmp_path / "one", listing_dialect="betar-go"), network=False) as one:
        drafts = [ListingDraft(name, 1, f"about {name}", addrs=(ADDRESS,)) for name in ("a", "b", "c")]
        receipts = [await one.publish([each]) for each in drafts]
        first = receipts[0][0].cid
        await one.delist(receipts[1][0].id)
        everything = await one.export_car(str(tmp_path / "all.car"))
        assert (everything.blocks, everything.files) == (4 + 2, 2)
        some = await one.export_car(str(tmp_path / "first.car"), [first])
        assert (some.blocks, some.files) == (1 + 1, 1)
    async with open_peer(config(tmp_path / "other"), network=False) as other:
        done = await other.import_car(str(tmp_path / "first.car"))
        assert (done.new, done.files, done.skipped) == (1, 1, 0)
        assert (await other.show(receipts[0][0].id)).document["description"] == "about a"
        await other.import_car(str(tmp_path / "all.car"))
        assert {each.description for each in (await other.listings()).listings} == {"about a", "about c"}
        # They are blocks of the other's now, and travel on.
        assert (await other.export_car(str(tmp_path / "again.car"))).files == 2
    async with peer(tmp_path / "third") as third:
        await third.import_car(str(tmp_path / "again.car"))
        assert {each.description for each in (await third.listings()).listings} == {"about a", "about c"}


async def test_files_that_no_listing_points_at_are_not_kept(tmp_path):
    name, block = unixfs.encode_file(b'{"description":"of nobody"}')
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        done = await one.import_car(write(tmp_path / "x.car", delta_node(), block))
        assert (done.new, done.files, done.skipped) == (1, 0, 1)
        assert not one._store.blocks([name])
