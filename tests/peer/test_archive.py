"""Archives: what is exported is what any CAR reader finds, and an import merges like a sync."""

import json
import os
from pathlib import Path

import pytest
import trio

from betar_tui.errors import ArchiveError
from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import open_peer
from tests.peers.harness import config, values

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
