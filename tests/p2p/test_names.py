"""Multiaddrs with names, asked of a DNS server that the test controls."""

from collections.abc import AsyncIterator

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
import trio

from betar_tui.errors import NetworkError
from betar_tui.p2p.names import MAX_ADDRS, MAX_QUESTIONS, Resolver
from tests.p2p.peers import peer

ID = "12D3KooWPnmAARxjFHdAxwtj8Jses8UvEDpfGBQqou22Qejk3DJp"
OTHER = "QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN"


class Zone:
    """A DNS server for what `records` has, by name and type; it answers nothing else but that there is no such name."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.asked: list[str] = []
        self.silent = False
        self.port = 0

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Answer over UDP on loopback, without truncation."""
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as socket:
            await socket.bind(("127.0.0.1", 0))
            self.port = socket.getsockname()[1]
            task_status.started()
            while True:
                raw, client = await socket.recvfrom(4096)
                if not self.silent:
                    await socket.sendto(self.answer(raw), client)

    def answer(self, raw: bytes) -> bytes:
        query = dns.message.from_wire(raw)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{kind} {name}")
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if records := self.records.get((name, kind)):
            reply.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", kind, records))
        elif not any(known == name for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()

    def texts(self, name: str, *addresses: str) -> None:
        """The TXT records of a /dnsaddr name."""
        self.records[f"_dnsaddr.{name}", "TXT"] = [f'"dnsaddr={address}"' for address in addresses]

    @property
    def resolver(self) -> Resolver:
        return Resolver(["127.0.0.1"], self.port)


@pytest.fixture
async def zone(nursery: trio.Nursery) -> AsyncIterator[Zone]:
    made = Zone()
    await nursery.start(made.serve)
    yield made


async def test_names_of_each_family(zone: Zone) -> None:
    zone.records["host.test", "A"] = ["192.0.2.1", "192.0.2.2"]
    zone.records["host.test", "AAAA"] = ["2001:db8::1"]
    four = [f"/ip4/192.0.2.{number}/tcp/4001/p2p/{ID}" for number in (1, 2)]
    six = [f"/ip6/2001:db8::1/tcp/4001/p2p/{ID}"]
    for kind, expected in (("dns4", four), ("dns6", six), ("dns", four + six)):
        assert sorted(await zone.resolver.resolve(f"/{kind}/host.test/tcp/4001/p2p/{ID}")) == expected


async def test_dnsaddr_is_filtered_by_the_peer_and_nested(zone: Zone) -> None:
    zone.texts(
        "boot.test", f"/dnsaddr/one.boot.test/p2p/{ID}", f"/dnsaddr/two.boot.test/p2p/{OTHER}", "/ip4/192.0.2.9/tcp/1"
    )
    zone.texts(
        "one.boot.test",
        f"/ip4/192.0.2.1/tcp/4001/p2p/{ID}",
        f"/ip4/192.0.2.1/udp/4001/quic-v1/p2p/{ID}",
        f"/ip4/192.0.2.2/tcp/4001/p2p/{OTHER}",
        f"/dns4/host.test/tcp/4002/p2p/{ID}",
        "nonsense",
    )
    zone.records["host.test", "A"] = ["192.0.2.3"]
    assert sorted(await zone.resolver.resolve(f"/dnsaddr/boot.test/p2p/{ID}")) == [
        f"/ip4/192.0.2.1/tcp/4001/p2p/{ID}",
        f"/ip4/192.0.2.3/tcp/4002/p2p/{ID}",
    ]
    assert "TXT _dnsaddr.two.boot.test" not in zone.asked


async def test_a_circle_of_names_ends(zone: Zone) -> None:
    zone.texts("a.test", *[f"/dnsaddr/a.test/p2p/{ID}"] * 3, f"/dnsaddr/b.test/p2p/{ID}")
    zone.texts("b.test", f"/dnsaddr/a.test/p2p/{ID}")
    with pytest.raises(NetworkError, match=r"'a\.test' cannot be resolved: it has no address"):
        await zone.resolver.resolve(f"/dnsaddr/a.test/p2p/{ID}")
    assert len(zone.asked) <= MAX_QUESTIONS


async def test_answers_and_questions_are_bounded(zone: Zone) -> None:
    zone.records["many.test", "A"] = [f"192.0.2.{number}" for number in range(1, 60)]
    assert len(await zone.resolver.resolve(f"/dns4/many.test/tcp/1/p2p/{ID}")) == MAX_ADDRS
    zone.texts("wide.test", *(f"/dns4/host{number}.test/tcp/1/p2p/{ID}" for number in range(20)))
    zone.asked.clear()
    with pytest.raises(NetworkError):
        await zone.resolver.resolve(f"/dnsaddr/wide.test/p2p/{ID}")
    assert len(zone.asked) == MAX_QUESTIONS


async def test_errors_name_what_cannot_be_resolved(zone: Zone) -> None:
    with pytest.raises(NetworkError, match=r"'absent\.test' cannot be resolved: there is no such name"):
        await zone.resolver.resolve(f"/dns4/absent.test/tcp/1/p2p/{ID}")
    with pytest.raises(NetworkError, match=r"'absent\.test' cannot be resolved: there is no such name"):
        await zone.resolver.resolve(f"/dnsaddr/absent.test/p2p/{ID}")
    with pytest.raises(NetworkError, match="cannot be resolved"):
        await zone.resolver.resolve(f"/dns4/{'x' * 300}/tcp/1/p2p/{ID}")


async def test_a_silent_dns_server_is_waited_for_within_a_limit(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("betar_tui.p2p.names.TIMEOUT", 0.3)
    zone.silent = True
    with trio.fail_after(10), pytest.raises(NetworkError, match=r"'slow\.test' cannot be resolved: no"):
        await zone.resolver.resolve(f"/dnsaddr/slow.test/p2p/{ID}")


async def test_peers_are_dialled_by_name(zone: Zone) -> None:
    """The first address that the name has does not answer; the second does."""
    async with peer("alice") as alice, peer("bob") as bob:
        bob.network._dialer.resolver = zone.resolver
        port = alice.network.addrs[0].split("/")[4]
        zone.records["alice.test", "A"] = ["127.0.0.7", "127.0.0.1"]
        zone.texts("market.test", f"/dns4/alice.test/tcp/{port}/p2p/{alice.id}")
        assert (await bob.network.connect(f"/dnsaddr/market.test/p2p/{alice.id}")).peer_id == alice.id
        await bob.network.disconnect(alice.id)
        assert (await bob.network.connect(f"/dns4/alice.test/tcp/{port}/p2p/{alice.id}")).peer_id == alice.id
        await bob.network.disconnect(alice.id)
        # The system's own names, such as those in /etc/hosts.
        bob.network._dialer.resolver = Resolver()
        assert (await bob.network.connect(f"/dns4/localhost/tcp/{port}/p2p/{alice.id}")).peer_id == alice.id


async def test_connecting_to_a_name_that_is_not_there_says_so(zone: Zone) -> None:
    async with peer("bob") as bob:
        bob.network._dialer.resolver = zone.resolver
        with pytest.raises(NetworkError, match=r"'absent\.test' cannot be resolved: there is no such name"):
            await bob.network.connect(f"/dns4/absent.test/tcp/1/p2p/{ID}")
