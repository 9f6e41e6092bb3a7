"""`betar-tui --serve` as other programs see it: its ready line, its commands, its end, and kill -9."""

import json
import signal
import sqlite3
import sys

import pytest
import trio

from betar_tui.market.marketplace import ListingDraft
from tests.peers.harness import clean_environment, command, eventually, served


async def test_publish_watch_and_delist_through_running_peers(tmp_path):
    async with served(tmp_path / "a") as a, served(tmp_path / "b", "--bootstrap", a.address) as b:
        await eventually(lambda: on_topic(b), what="the peers see each other")
        async with watching(b) as lines:
            receipt = json.loads((await a.run("publish", "--name", "swift-ocr", "--price", "0.05", "--json")).stdout)
            assert receipt["sent_to"] == 1
            event = await next_line(lines)
            assert {key: event[key] for key in ("event", "id", "cid", "height", "via")} == {
                "event": "put",
                "id": receipt["id"],
                "cid": receipt["cid"],
                "height": 1,
                "via": a.peer_id,
            }
            (listing,) = json.loads((await b.run("list", "ocr price<0.1", "--json")).stdout)
            assert (listing["name"], listing["provenance"], listing["mine"]) == ("swift-ocr", "verified", False)
            removal = json.loads((await a.run("delist", receipt["id"], "--json")).stdout)
            assert removal["tombstones"] == 1
            assert (await next_line(lines))["event"] == "delist"
        assert json.loads((await b.run("list", "--json")).stdout) == []
        heads = [json.loads((await each.run("heads", "--json")).stdout) for each in (a, b)]
        assert heads[0] == heads[1]
        (connected,) = json.loads((await b.run("peers", "--json")).stdout)
        assert connected["peer_id"] == a.peer_id
        assert connected["agent"].startswith("betar-tui/")
        refused = await b.run("delist", receipt["id"], check=False)
        assert refused.returncode == 1
        assert refused.stderr.count(b"\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_in_time_with_code_0(tmp_path, number):
    async with served(tmp_path / "a") as a, served(tmp_path / "b", "--bootstrap", a.address) as b:
        await eventually(lambda: on_topic(b), what="the peers see each other")
        a.process.send_signal(number)
        with trio.fail_after(5):
            assert await a.process.wait() == 0
        assert not a.control.exists()
        await eventually(lambda: alone(b), within=10, what="the other sees it leave")


async def test_a_second_peer_on_the_directory_is_told_who_holds_it(tmp_path):
    async with served(tmp_path / "a") as a:
        second = await command("--serve", "--data-dir", str(a.directory), check=False)
        assert second.returncode == 1
        assert f"process {a.process.pid}" in second.stderr.decode()
        assert b"Traceback" not in second.stderr


async def test_an_explicit_port_that_is_taken_is_an_error_and_a_default_one_is_not(tmp_path):
    async with served(tmp_path / "a") as a:
        port = a.address.split("/")[4]
        taken = await command(
            "--serve", "--data-dir", str(tmp_path / "b"), "--listen", f"/ip4/127.0.0.1/tcp/{port}", check=False
        )
        assert taken.returncode == 1
        assert port in taken.stderr.decode()
        assert b"Traceback" not in taken.stderr


async def test_kill_9_during_200_publishes_loses_nothing_acknowledged(tmp_path):
    acknowledged: list[str] = []
    async with served(tmp_path / "b") as b:
        async with served(tmp_path / "a", "--bootstrap", b.address) as a:
            await eventually(lambda: on_topic(b), what="the peers see each other")

            async def publish() -> None:
                for n in range(200):
                    acknowledged.append((await a.market.publish([ListingDraft(f"n{n:03}", n)]))[0].id)

            async def kill_in_the_middle() -> None:
                await eventually(lambda: len(acknowledged) >= 100, what="half of it acknowledged")
                a.process.kill()
                nursery.cancel_scope.cancel()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(publish)
                nursery.start_soon(kill_in_the_middle)
        assert 100 <= len(acknowledged) < 200
        async with served(tmp_path / "a", "--bootstrap", b.address) as a:
            kept = {each.id for each in (await a.market.listings()).listings}
            assert set(acknowledged) <= kept, "an acknowledged publish is gone"
            await eventually(lambda: same_listings(a, b), what="both peers hold the same")
            await eventually(lambda: same_heads(a, b), what="both peers have the same heads")
        database = sqlite3.connect(tmp_path / "a" / "replica.db")
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()


async def test_serve_never_imports_the_interface(tmp_path):
    """The modules of a running --serve process, as Python itself reports them while it imports."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-X", "importtime", "-m", "betar_tui", "--serve", "--data-dir", str(tmp_path / "a"),
         "--listen", "/ip4/127.0.0.1/tcp/0"],
        stdout=-1, stderr=-1, env=clean_environment(),
    )  # fmt: skip
    errors = bytearray()

    async def collect() -> None:
        async for chunk in process.stderr:
            errors.extend(chunk)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect)
        with trio.fail_after(30):
            assert (await process.stdout.receive_some()).startswith(b"ready")
        process.terminate()
        await process.wait()
    imported = {line.rpartition(b"|")[2].strip().decode() for line in errors.splitlines() if b"import time:" in line}
    assert "libp2p" in imported, "the list of imports is not what it should be"
    assert not {name for name in imported if name.split(".")[0] == "textual"}


def watching(peer):
    """The lines of `watch --json` on a peer, once it has subscribed."""
    return Watch(peer)


class Watch:
    def __init__(self, peer) -> None:
        self._peer = peer

    async def __aenter__(self):
        # What asked before may not have closed its connection yet, and would be taken for the one that is waited for.
        await eventually(lambda: nobody_connected(self._peer), what="nobody else is connected")
        self._process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "betar_tui", "--data-dir", str(self._peer.directory), "watch", "--json"],
            stdout=-1,
            env=clean_environment(),
        )
        await eventually(lambda: subscriber_count(self._peer), what="watch has subscribed")
        return self._process.stdout

    async def __aexit__(self, *_):
        self._process.kill()
        await self._process.wait()
        await self._process.stdout.aclose()


async def subscriber_count(peer) -> int:
    """Established connections of the control socket that stay open."""
    lines = await trio.Path("/proc/net/unix").read_text()
    return sum(1 for line in lines.splitlines() if line.endswith(str(peer.control)) and line.split()[5] == "03")


async def nobody_connected(peer) -> bool:
    return await subscriber_count(peer) == 0


async def next_line(stream) -> dict:
    with trio.fail_after(20):
        return json.loads(await stream.receive_some(65536))


async def on_topic(peer) -> bool:
    return (await peer.market.status()).topic_peers > 0


async def alone(peer) -> bool:
    return (await peer.market.status()).peers == 0


async def same_listings(a, b) -> bool:
    return {e.cid for e in (await a.market.listings()).listings} == {
        e.cid for e in (await b.market.listings()).listings
    }


async def same_heads(a, b) -> bool:
    return await a.market.heads() == await b.market.heads()
