"""A data directory that was copied runs twice: both say so, and a peer that knows both is not harmed."""

import json
import shutil
from pathlib import Path

import trio

from tests.peers.harness import Served, eventually, served

WORDS = "this key is used by another running peer"


async def says(one: Served) -> bool:
    status = await one.market.status()
    return WORDS in "".join(status.troubles)


async def test_a_copied_directory_that_runs_twice_is_noticed_by_both(tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    async with served(tmp_path / "other") as other:
        async with served(original, "--bootstrap", other.address) as before:
            await before.run("publish", "--name", "first", "--price", "1")
            await eventually(lambda: knows(other, "first"))
        shutil.copytree(original, copy, ignore=shutil.ignore_patterns("*.sock", "*.log"))
        async with served(original, "--bootstrap", other.address) as one:
            await eventually(lambda: connected(one))
            assert not await says(one)  # although it was stopped and started again a moment ago
            async with served(copy, "--bootstrap", other.address) as two:
                assert two.peer_id == one.peer_id
                started = trio.current_time()
                await eventually(lambda: says(one))
                await eventually(lambda: says(two))
                print(f"both say so after {trio.current_time() - started:.1f} s")
                for each in (one, two):
                    assert WORDS in each.log.read_text()
                    findings = json.loads((await each.run("doctor", "--json", check=False)).stdout)
                    assert any(WORDS in check["says"] and check["state"] == "wrong" for check in findings["checks"])
                await one.run("publish", "--name", "second", "--price", "1")
                await eventually(lambda: knows(other, "second"))
                assert not (await other.market.status()).troubles


async def knows(one: Served, name: str) -> bool:
    return name in {each.name for each in (await one.market.listings()).listings}


async def connected(one: Served) -> bool:
    return bool((await one.market.status()).topic_peers)
