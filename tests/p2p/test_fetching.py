"""What is asked of whom, and when no more, over a network that only notes what it is told."""

from types import SimpleNamespace

from betar_tui.p2p.fetching import MAX_BITSWAP, MAX_REFUSED, Fetcher

A, B, C = (bytes([n]) * 36 for n in range(3))


class Network:
    """Peers that speak Bitswap alone."""

    def __init__(self) -> None:
        self.wanted: list[tuple[list[bytes], str | None]] = []
        self.cancelled: list[set[bytes]] = []

    def want(self, cids: list[bytes], ask: str | None = None) -> None:
        self.wanted.append((cids, ask))

    def cancel(self, cids: set[bytes]) -> None:
        self.cancelled.append(set(cids))

    def supports(self, peer: str, protocol: str) -> bool:
        return False

    def connections(self) -> list[object]:
        return []

    def open_stream(self, peer: str, protocol: str) -> None:
        raise AssertionError("nobody speaks dagsync")


def fetcher(*linked: bytes) -> tuple[Fetcher, Network]:
    """A fetcher over a replica that wants these."""
    network = Network()
    writer = SimpleNamespace(replica=SimpleNamespace(wants=set(linked)))
    return Fetcher(network, writer, dict.fromkeys), network  # type: ignore[arg-type]


async def test_a_block_that_came_twice_is_wanted_no_more() -> None:
    fetching, network = fetcher()
    fetching.want([A, B, C], "alice")
    assert network.wanted == [([A, B, C], "alice")]
    fetching.arrived([A, A, B])
    assert network.cancelled == [{A, B}]
    assert fetching.pending == 1
    assert fetching.asked(C)


async def test_while_a_sync_is_held_only_announced_heads_are_asked_for() -> None:
    fetching, network = fetcher(A)
    fetching.want([A], "alice")
    fetching.hold(True)
    assert network.cancelled == [{A}]
    fetching.want([B], "alice")
    fetching.want([C], "alice", announced=True)
    assert network.wanted[1:] == [([C], "alice")]
    fetching.hold(False)
    assert network.wanted[2:] == [([A], None)]


async def test_when_too_much_is_wanted_the_oldest_give_way() -> None:
    fetching, network = fetcher()
    names = [b"%036d" % n for n in range(MAX_BITSWAP)]
    fetching.want(names, "alice")
    fetching.want([A, B], "alice")
    assert network.cancelled == [set(names[:2])]
    assert fetching.pending == MAX_BITSWAP


async def test_what_is_no_delta_is_wanted_no_more_whoever_links_to_it() -> None:
    fetching, network = fetcher(A, B)
    fetching.want([A, B], "alice")
    fetching.refuse([A])
    assert network.cancelled == [{A}]
    assert fetching.pending == 1
    fetching.want([A, C], "bob")
    fetching.hold(True)
    fetching.hold(False)
    assert [names for names, _ in network.wanted[1:]] == [[C], [B]]
    fetching.refuse(b"%036d" % n for n in range(MAX_REFUSED))
    fetching.want([A], "bob")
    assert network.wanted[-1] == ([A], "bob"), "only so many are remembered"
