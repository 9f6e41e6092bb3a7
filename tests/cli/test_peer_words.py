"""What the commands say of peers, of the search for them, and of a peer that is offline."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from betar_tui import commands, doctor, wording
from betar_tui.config import Config
from betar_tui.market.marketplace import Connectivity
from betar_tui.values import Search
from tests.tui.fake import FakeMarketplace, peer_id

TAKEN = "cannot listen on /ip4/0.0.0.0/tcp/4001: [Errno 98] Address already in use"


@pytest.fixture
def market(monkeypatch):
    fake = FakeMarketplace(peers=3)

    @asynccontextmanager
    async def there(config, *, need_peer=False):
        yield fake

    monkeypatch.setattr(commands, "open_marketplace", there)
    monkeypatch.setattr(doctor, "ControlClient", lambda path: fake)
    return fake


@pytest.fixture
def run(market, tmp_path, capsys):
    """Run a command; gives the lines that it prints."""

    async def call(command, *, as_json=False):
        await command(Config(data_dir=tmp_path), Namespace(json=as_json))
        return capsys.readouterr().out.splitlines()

    return call


def alone(fake, *searches, peers=0, **more):
    fake.go(Connectivity.ALONE)
    fake.connected = tuple(replace(fake._peer(number), on_topic=False) for number in range(peers))
    fake.searches, fake.more_status = searches, more


async def test_peers_say_how_they_were_found_and_whether_they_hold_the_newest_head(market, run):
    now = time.time()
    facts = [("bootstrap", 0, None), ("incoming", 3, None), ("mdns", None, now - 40)]
    market.connected = tuple(
        replace(peer, on_topic=True, found=found, behind=behind, waiting_since=waiting)
        for peer, (found, behind, waiting) in zip(market.connected, facts, strict=True)
    )
    head, *rows = await run(commands.peers)
    assert head.split("  ")[-1].strip() == "NEWEST HEAD"
    assert [row[head.index("FOUND") :].split()[0] for row in rows] == ["bootstrap", "incoming", "mdns"]
    says = [row[head.index("NEWEST HEAD") :] for row in rows]
    assert says == ["level", "behind by 3", "has not answered for 40 s"]
    shown = json.loads("".join(await run(commands.peers, as_json=True)))
    assert [(each["found"], each["behind"]) for each in shown] == [each[:2] for each in facts]


async def test_without_a_peer_the_search_is_told(market, run):
    alone(market, Search("searching the local network", time.time() + 20.4))
    assert await run(commands.peers) == ["no peer is connected; searching the local network, next try in 20 s"]
    assert "finding peers: Searching the local network, next try in 20 s" in await run(commands.status)
    shown = json.loads("".join(await run(commands.status, as_json=True)))
    assert shown["searches"][0]["what"] == "searching the local network"
    alone(market)
    nothing = "nothing to try: --no-mdns, --no-dht, no --bootstrap and no remembered peer; betar-tui connect MULTIADDR"
    assert await run(commands.peers) == [f"no peer is connected; {nothing} adds a peer"]
    alone(market, peers=2)
    assert "every known peer is connected, and none of them is on the topic" in (await run(commands.peers))[-1]
    alone(market, Search("searching the DHT"), peers=2)
    assert (await run(commands.peers))[-1] == "no peer of these is on the topic; searching the DHT"


async def test_a_network_that_is_starting_is_not_one_without_anything_to_try(market, run, tmp_path):
    alone(market)
    market.go(Connectivity.STARTING)
    assert await run(commands.peers) == ["no peer is connected; the network is starting"]
    assert "finding peers: The network is starting" in await run(commands.status)
    (found,) = (each for each in await doctor.examine(Config(data_dir=tmp_path, bootstrap=("x",)))
                if each.check == "connectivity")  # fmt: skip
    assert (found.state, found.message) == (doctor.INFO, "The network is starting")


async def test_nothing_is_said_of_searches_once_all_known_peers_are_connected(market, run):
    market.searches = ()
    assert not any(line.startswith("finding peers:") for line in await run(commands.status))
    market.searches = (Search("dialling 1 remembered peer"),)
    assert "finding peers: Dialling 1 remembered peer" in await run(commands.status)


async def test_an_offline_peer_says_why(market, run):
    alone(market, offline=TAKEN, port_taken="/ip4/0.0.0.0/tcp/4001", connectivity=Connectivity.FAILED)
    assert await run(commands.peers) == [f"no peer is connected; offline: {TAKEN}"]
    lines = await run(commands.status)
    assert f"offline: {TAKEN}" in lines
    assert not any(line.startswith(("searches:", "listen_notice:")) for line in lines)


async def examined(tmp_path):
    return {each.check: each for each in await doctor.examine(Config(data_dir=tmp_path))}


async def test_a_peer_that_only_this_machine_can_dial_is_told(market, tmp_path, run):
    only = "/ip4/127.0.0.1/tcp/4001"
    market.more_status = {"addrs": (f"{only}/p2p/{peer_id(0)}",)}
    found = (await examined(tmp_path))["reachability"]
    assert (found.state, found.message) == (
        doctor.INFO,
        f"nobody on another machine can dial this one: the peer listens on {only}/p2p/{peer_id(0)} alone",
    )
    assert found.advice == "start it with --listen /ip4/0.0.0.0/tcp/4001, which is all of its addresses"
    assert "the peer listens nowhere else" in wording.reach_text(await market.status())
    market.more_status["listen"] = ("/ip4/0.0.0.0/tcp/4001",)
    found = (await examined(tmp_path))["reachability"]
    assert found.message == "nobody on another machine can dial this one: this machine has no other network now"
    assert "--listen" not in found.advice
    assert "--listen" not in wording.reach_text(await market.status())
    market.more_status = {"addrs": (only, "/ip4/192.168.1.20/tcp/4001")}
    assert "nobody on another machine" not in (await examined(tmp_path))["reachability"].message


async def test_so_is_one_that_would_listen_there_and_does_not_run(tmp_path):
    for listen, said in ((("/ip4/127.0.0.1/tcp/0",), True), (("/ip6/::1/tcp/0", "/ip4/0.0.0.0/tcp/0"), False)):
        found = await doctor.examine(Config(data_dir=tmp_path, listen=listen, listen_explicit=True))
        assert any("the peer would listen" in each.message for each in found) is said


@pytest.mark.parametrize("said", [True, False], ids=["just found out", "known for a while"])
@pytest.mark.parametrize("peers", [0, 3])
async def test_a_search_that_cannot_work_is_a_note_whoever_is_connected(market, tmp_path, said, peers):
    why = "this machine has no network interface that is up and carries multicast"
    ways = (
        Search("searching the local network", trouble=why),
        Search("searching the DHT", time.time() + 9, "no server of the DHT answers"),
        Search("dialling 1 bootstrap peer"),
    )
    told = (
        f"finding peers on the local network: not possible now: {why}. It starts by itself as soon as it can",
        "finding peers in the DHT: no server of the DHT answers (connection refused)",
    )
    if not peers:
        alone(market)
    market.searches = ways
    market.more_status["troubles"] = told if said else ()
    found = [each for each in await doctor.examine(Config(data_dir=tmp_path)) if each.check in ("search", "service")]
    assert [(each.state, each.message) for each in found] == [
        (doctor.INFO, f"searching the local network: {why}"),
        (doctor.INFO, "searching the DHT: no server of the DHT answers"),
    ]
    market.more_status["troubles"] = (*told, "announcing: failed (OSError: x); started again")
    found = [each for each in await doctor.examine(Config(data_dir=tmp_path)) if each.check == "service"]
    assert [(each.state, each.message) for each in found] == [(doctor.ERROR, market.more_status["troubles"][-1])]


async def test_the_doctor_names_peers_that_do_not_fetch(market, tmp_path):
    assert "delivery" not in await examined(tmp_path)
    late = replace(market.connected[0], waiting_since=time.time() - 30)
    market.connected = (late, *market.connected[1:])
    found = await examined(tmp_path)
    assert found["delivery"].message == f"1 peer on the topic does not fetch what you publish: {peer_id(1)}"


async def test_the_doctor_knows_what_is_tried_and_why_a_peer_is_offline(market, tmp_path):
    alone(market, Search("dialling 2 remembered peers"), listen_notice="4001 is in use; a free port was taken instead")
    found = await examined(tmp_path)
    assert found["connectivity"].message.endswith("alone. Dialling 2 remembered peers")
    assert (found["port"].state, found["port"].message[:4]) == (doctor.INFO, "4001")
    alone(market, offline=TAKEN, port_taken="/ip4/0.0.0.0/tcp/4001", connectivity=Connectivity.FAILED)
    found = await examined(tmp_path)
    assert (found["connectivity"].state, found["connectivity"].message) == (doctor.ERROR, f"offline: {TAKEN}")
    assert "choose another --listen" in found["connectivity"].advice
    alone(market, offline="the network failed (OSError: x), it is opened again", connectivity=Connectivity.FAILED)
    assert (await examined(tmp_path))["connectivity"].advice == "the peer's log says more; it is tried again"
