"""Archives: what is exported is what any CAR reader finds, and an import merges like a sync."""

import json
import os
from pathlib import Path

import pytest
import trio

from betar_tui.errors import ArchiveError, DecodeError
from betar_tui.ipld import cid, unixfs
from betar_tui.ipld.car import CarReader, encode_header
from betar_tui.ipld.carfile import CarFileReader
from betar_tui.market.marketplace import ListingDraft
from betar_tui.p2p.types import LARGE_BLOCK
from betar_tui.peer import archive, open_peer
from betar_tui.replica import decode_node
from betar_tui.replica.node import compose
from tests.peers.harness import config, values
from tests.simulation.lab import node

READER = "BETAR_TUI_CAR_READER"


async def some_market(directory, names=("a", "b", "c")):
    async with open_peer(config(directory), network=False) as peer:
        receipts = await peer.publish([ListingDraft(name, 1) for name in names])
        await peer.delist(receipts[0].id)


async def test_an_import_merges_what_was_exported(tmp_path):
    await some_market(tmp_path / "one")
    car = str(tmp_path / "market.car")
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        exported = await one.export_car(car)
        assert (exported.blocks, exported.roots) == (2, tuple(head.cid for head in await one.heads()))
        heads = await one.heads()
    async with open_peer(config(tmp_path / "other"), network=False) as other:
        imported = await other.import_car(car)
        assert (imported.new, imported.known, imported.missing) == (2, 0, 0)
        assert await other.heads() == heads
        again = await other.import_car(car)
        assert (again.new, again.known) == (0, 2)
    assert values(tmp_path / "one") == values(tmp_path / "other")


async def test_large_deltas_are_exported_and_drawn_by_their_height(tmp_path):
    """To a syncing peer they are sent last."""
    async with open_peer(config(tmp_path), network=False) as peer:
        await peer.publish([ListingDraft(f"agent-{n}", n) for n in range(3)])
        (first,) = await peer.heads()
        links = [cid.from_str(first.cid)]
        large = node(links, [("/agents/large", b"x" * LARGE_BLOCK)], priority=first.height + 2)
        small = node(links, [("/agents/small", b"x")], priority=first.height + 1)
        await peer._writer.merge_nodes([large, small], "honest")
        by_height = [cid.to_str(large.cid), cid.to_str(small.cid), first.cid]
        assert [each.cid for each in await peer.dag(3)] == by_height
        await peer.export_car(str(tmp_path / "market.car"))
    reader = CarFileReader()
    exported = [section.cid for section in reader.feed((tmp_path / "market.car").read_bytes())]
    assert [cid.to_str(each) for each in exported] == by_height


async def test_a_chosen_head_is_exported_alone(tmp_path):
    await some_market(tmp_path / "one")
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        oldest = (await one.log())[-1].cid
        assert (await one.export_car(str(tmp_path / "part.car"), [oldest])).blocks == 1
        with pytest.raises(ArchiveError, match="is not here"):
            await one.export_car(
                str(tmp_path / "x.car"), ["bafybeicsylxzyacizzjhdmzrcoftzwdf4dwsmsp4lxk45u6m5dwlfwxshe"]
            )
        with pytest.raises(ArchiveError):
            await one.export_car(str(tmp_path / "x.car"), ["junk"])
        with pytest.raises(ArchiveError, match="another place"):
            await one.export_car(str(tmp_path / "no" / "such" / "folder.car"))


async def test_what_lies_above_a_gap_is_exported_too(tmp_path):
    lost = node((), [("/agents/l", b"1")])
    above = node([lost], [("/agents/d", b"1")], (), 2)
    top = node([above], [("/agents/e", b"1")], (), 3)
    car = str(tmp_path / "market.car")
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        mine = (await one.publish([ListingDraft("mine", 1)]))[0]
        await one._writer.merge_nodes([top, above], "alice")
        exported = await one.export_car(car)
        assert (exported.blocks, exported.roots) == (3, (cid.to_str(top.cid), (await one.heads())[0].cid))
    async with open_peer(config(tmp_path / "other"), network=False) as other:
        imported = await other.import_car(car)
        assert (imported.new, imported.missing) == (3, 1)
        assert mine.id in {each.id for each in (await other.listings()).listings}
    assert values(tmp_path / "one") == values(tmp_path / "other")


async def test_of_more_heads_than_a_header_may_name_all_blocks_are_exported(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_ROOTS", 2)
    nodes = [node((), [(f"/agents/{n}", b"1")], (), n + 1) for n in range(5)]
    car = str(tmp_path / "market.car")
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        await one._writer.merge_nodes(nodes, "alice")
        exported = await one.export_car(car)
        assert (exported.blocks, exported.roots) == (5, tuple(cid.to_str(each.cid) for each in (nodes[4], nodes[3])))
    async with open_peer(config(tmp_path / "other"), network=False) as other:
        assert (await other.import_car(car)).new == 5
        assert len(await other.heads()) == 5


def test_the_longest_header_that_is_written_can_be_read():
    roots = [cid.of(b"%d" % n) for n in range(archive.MAX_ROOTS)]
    for reader in (CarReader(), CarFileReader()):
        assert list(reader.feed(encode_header(roots))) == []
        assert list(reader.roots) == roots


async def test_a_file_below_an_incomplete_delta_that_is_chosen_is_no_delta(tmp_path):
    file, block = unixfs.encode_file(b'{"name":"x"}')
    above = compose([file], [("/agents/YQ", b"{}")], (), 5)
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        with pytest.raises(DecodeError):
            decode_node(file, block)
        one._store.put_files({file: block})
        await one._writer.merge_nodes([above], "alice")
        exported = await one.export_car(str(tmp_path / "market.car"), [cid.to_str(above.cid)])
        assert exported.roots == (cid.to_str(above.cid),)


@pytest.mark.parametrize("cut", [1, 40, 100, -1, -300])
async def test_an_archive_that_is_cut_is_an_error_and_nothing_is_lost(tmp_path, cut):
    await some_market(tmp_path / "one")
    car = tmp_path / "market.car"
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        await one.export_car(str(car))
    whole = car.read_bytes()
    car.write_bytes(whole[:cut])
    async with open_peer(config(tmp_path / "other"), network=False) as other:
        mine = (await other.publish([ListingDraft("mine", 1)]))[0]
        with pytest.raises(ArchiveError, match="merged"):
            await other.import_car(str(car))
        assert mine.id in {each.id for each in (await other.listings()).listings}
        car.write_bytes(whole)
        await other.import_car(str(car))
        assert (await other.status()).pending == 0
    assert values(tmp_path / "one").items() <= values(tmp_path / "other").items()


async def test_a_changed_block_is_refused(tmp_path):
    await some_market(tmp_path / "one")
    car = tmp_path / "market.car"
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        await one.export_car(str(car))
    raw = bytearray(car.read_bytes())
    raw[-1] ^= 1
    car.write_bytes(raw)
    async with open_peer(config(tmp_path / "other"), network=False) as other:
        with pytest.raises(ArchiveError, match="does not hash"):
            await other.import_car(str(car))


async def test_an_independent_reader_finds_every_block(tmp_path):
    """With npm's `@ipld/car`, from a folder in which somebody installed it: tests reach no registry."""
    modules = os.environ.get(READER)
    if not modules:
        pytest.skip(f"{READER} names no folder with node_modules/@ipld/car")
    await some_market(tmp_path / "one")
    car = tmp_path / "market.car"
    async with open_peer(config(tmp_path / "one"), network=False) as one:
        exported = await one.export_car(str(car))
        blocks = {each.cid: each.bytes for each in await one.log()}
    script = Path(modules) / "read-car.mjs"
    script.write_text(
        "import { CarReader } from '@ipld/car'; import { readFileSync } from 'fs';\n"
        "const car = await CarReader.fromBytes(readFileSync(process.argv[2]));\n"
        "const blocks = {}; for await (const b of car.blocks()) blocks[b.cid.toString()] = b.bytes.length;\n"
        "console.log(JSON.stringify({ roots: (await car.getRoots()).map(String), blocks }));\n"
    )
    done = await trio.run_process(["node", str(script), str(car)], capture_stdout=True)
    assert json.loads(done.stdout) == {"roots": list(exported.roots), "blocks": blocks}
