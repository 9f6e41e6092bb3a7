"""Which links are requested at a time."""

from hypothesis import given
from hypothesis import strategies as st

from betar_tui.sync import link_shares
from betar_tui.sync.link_shares import MAX_LINKS, MAX_WAITING, LinkShares


def cids(first: int, number: int) -> list[bytes]:
    return [b"%036d" % each for each in range(first, first + number)]


def test_a_peer_has_a_share_and_the_next_links_follow_once_all_of_these_are_here() -> None:
    shares = LinkShares()
    links = cids(0, MAX_LINKS + 10)
    assert shares.take(links, "alice") == links[:MAX_LINKS]
    assert shares.take(cids(20_000, 1), "alice") == []
    assert shares.take(cids(10_000, 1), "bob") == cids(10_000, 1), "another peer has its own"
    assert shares.ended(links[: MAX_LINKS - 1]) == {}
    assert shares.ended([links[MAX_LINKS - 1]]) == {"alice": [*links[MAX_LINKS:], *cids(20_000, 1)]}
    assert shares.take(links[MAX_LINKS:], "alice") == links[MAX_LINKS:]


def test_few_links_of_a_peer_wait() -> None:
    shares = LinkShares()
    for first in range(0, 100_000, 4000):
        shares.take(cids(first, 4000), "alice")
    assert shares.ended(cids(0, MAX_LINKS)) == {"alice": cids(MAX_LINKS, MAX_WAITING)}


def test_nothing_waits_for_a_peer_that_is_gone() -> None:
    shares = LinkShares()
    shares.take(cids(0, MAX_LINKS + 10), "alice")
    shares.forget("alice")
    assert shares.ended(cids(0, MAX_LINKS)) == {}


def test_nothing_is_kept_of_peers_without_links() -> None:
    shares = LinkShares()
    for number, (link,) in enumerate(cids(each, 1) for each in range(100)):
        assert shares.take([link], f"peer {number}") == [link]
        assert shares.take([link], f"other {number}") == []
        assert shares.ended([link]) == {}
    assert not shares._numbers and not shares._peers and not shares._waiting


def test_links_of_nobody_take_turns_where_there_are_too_many() -> None:
    shares, all_links = LinkShares(), cids(0, 3 * MAX_LINKS)
    had: set[bytes] = set()
    for _ in range(3):
        had |= set(taken := shares.take(all_links, ""))
        assert len(taken) == MAX_LINKS
        over = shares.over(lambda cid: True, len(all_links))
        assert set(over) == set(taken)
        shares.ended(over)
    assert had == set(all_links)
    assert len(shares.take(all_links, "")) == MAX_LINKS, "and begin again"


def test_links_that_nothing_waits_for_give_their_place_back() -> None:
    shares, links = LinkShares(), cids(0, 4)
    shares.take(links[:2], "alice")
    shares.take(links[2:], "")
    assert shares.over(lambda cid: cid not in (links[0], links[2]), 2) == [links[0], links[2]]


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.integers(0, 40), st.integers(0, 12), st.booleans())))
def test_no_share_is_exceeded_and_every_link_of_a_peer_is_requested_or_waits(
    steps: list[tuple[str, int, int, bool]],
) -> None:
    shares, open_links = LinkShares(), dict[bytes, str]()
    links, waiting = link_shares.MAX_LINKS, link_shares.MAX_WAITING
    link_shares.MAX_LINKS, link_shares.MAX_WAITING = 4, 8
    try:
        for peer, first, number, ends in steps:
            wanted = [cid for cid in cids(first, number) if cid not in open_links]
            if ends:
                here = [cid for cid in cids(first, number) if cid in open_links]
                by = {open_links.pop(cid) for cid in here}
                for emptied in shares.ended(here):
                    assert emptied in by and emptied not in open_links.values()
                continue
            taken = shares.take(wanted, peer)
            assert set(taken) <= set(wanted)
            open_links.update(dict.fromkeys(taken, peer))
            number_of = list(open_links.values()).count(peer)
            assert number_of <= 4
            assert number_of == 4 or taken == wanted or set(taken) == set(wanted)
    finally:
        link_shares.MAX_LINKS, link_shares.MAX_WAITING = links, waiting
