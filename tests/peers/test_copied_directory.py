"""A data directory that was copied runs twice: both say so, and a peer that knows both is not harmed."""

import json
import shutil
from pathlib import Path

from betar_tui.config import load_identity
from betar_tui.market.marketplace import ListingDraft
from tests.peers.harness import Served, eventually, served

WORDS = "this key is used by another running peer"


async def says(one: Served) -> bool:
    return WORDS in "".join((await one.market.status()).troubles)


async def on_topic(one: Served) -> bool:
    return bool((await one.market.status()).topic_peers)


async def knows(one: Served, name: str) -> bool:
    return name in {each.name for each in (await one.market.listings()).listings}


async def test_a_copied_directory_that_runs_twice_is_noticed_by_both(tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    load_identity(original / "identity.key")
    shutil.copytree(original, copy)
    async with served(tmp_path / "other") as other, served(original, "--bootstrap", other.address) as one:
        await eventually(lambda: on_topic(one))
        assert not await says(one)
        async with served(copy, "--bootstrap", other.address) as two:
            assert two.peer_id == one.peer_id
            await eventually(lambda: says(one))
            await eventually(lambda: says(two))
            assert WORDS in one.log.read_text()
            assert WORDS in two.log.read_text()
            findings = json.loads((await two.run("doctor", "--json", check=False)).stdout)
            assert any(WORDS in check["says"] and check["state"] == "wrong" for check in findings["checks"])
            assert any(check["check"] == "reachability" for check in findings["checks"])
            await one.market.publish([ListingDraft("still heard", 1)])
            await eventually(lambda: knows(other, "still heard"))
            assert not (await other.market.status()).troubles
