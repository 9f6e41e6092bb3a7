"""What is known of other peers and of the search for them, in words. Pure; for the interface and the commands alike."""

from collections.abc import Sequence

from betar_tui.market.kinds import Connectivity
from betar_tui.market.marketplace import PeerInfo, Quota, Quotas, Status
from betar_tui.plurals import plural
from betar_tui.values import Search

NOT_FETCHING_AFTER = 10.0
"""Seconds without an answer to what was announced after which a peer counts as not fetching."""
GO_REBROADCAST = 60.0
"""Seconds between two broadcasts of its heads by a Go betar."""
FIRST_LISTINGS = "Go peers announce what they have once a minute: the first listings come within a minute"
NOTHING_TO_TRY = "Nothing to try: --no-mdns, --no-dht, no --bootstrap and no remembered peer"
ALL_CONNECTED = "Nothing more to try: every known peer is connected, and none of them is on the topic"
STARTING = "The network is starting"
MAX_NAMED = 3
"""Maximum peers that a sentence names."""
_PATIENCE = 1.5 * GO_REBROADCAST
"""Seconds after which a Go peer that has announced nothing counts as having nothing."""
_OWN_KIND = "betar-tui/"
"""Start of the agent version of this program's peers, which announce their heads to a peer that joins."""


def looking_text(status: Status, now: float) -> str:
    """What a peer does to find others, as `search_text`; "" where no network is open, or with peers on the topic and
    nobody left to look for."""
    if status.connectivity is Connectivity.STARTING:
        return STARTING
    if not status.running or status.offline or (status.topic_peers and not status.searches):
        return ""
    if status.searches:
        return search_text(status.searches, now)
    # Blocked peers are known, and not dialled.
    if status.peers:
        return (
            ALL_CONNECTED.replace("known peer", "known peer that is not blocked") if status.blocked else ALL_CONNECTED
        )
    return f"{NOTHING_TO_TRY} but blocked ones" if status.blocked else NOTHING_TO_TRY


def search_text(searches: Sequence[Search], now: float) -> str:
    """What is done to find peers: "Searching the DHT, next try in 20 s; dialling 2 remembered peers"."""
    if not searches:
        return NOTHING_TO_TRY
    text = "; ".join(_search_text(each, now) for each in searches)
    return text[:1].upper() + text[1:]


def limits_text(limits: Quotas) -> str:
    """How many listings are shown, in words, with what is beyond: "at most 10,000 listings of one seller are shown, …"."""
    parts = []
    kinds = (
        (limits.listings_per_seller, "listing", "of one seller", "the seller with most has"),
        (limits.unsigned_per_peer, "unsigned listing", "that one peer brought", "the peer with most has brought"),
    )
    for quota, one, whose, most in kinds:
        allowed = f"at most {plural(quota.allowed, one)}" if quota.allowed else f"all {one}s"
        used = f", {most} {quota.used:,}" if quota.used else ""
        beyond = f", {quota.refused:,} more {'is' if quota.refused == 1 else 'are'} not" if quota.refused else ""
        parts.append(f"{allowed} {whose} {'is' if quota.allowed == 1 else 'are'} shown{beyond}{used}")
    return "; ".join(parts)


def limit_lines(limits: Quotas) -> list[str]:
    """The limits in two short lines, none where nothing is limited."""
    seller, source = limits.listings_per_seller, limits.unsigned_per_peer
    if not seller.allowed and not source.allowed and not limits.disk.allowed:
        return []
    beyond = seller.refused + source.refused
    allowed = [f"up to {each.allowed:,}" if each.allowed else "all" for each in (seller, source)]
    more = f"; {beyond:,} not" if beyond else ""
    return [disk_text(limits.disk), f"shown: {allowed[0]} of one seller, {allowed[1]} unsigned of one peer{more}"]


def disk_text(disk: Quota) -> str:
    """How much of the store's file is in use: "3.1 MiB in use of 10 GiB allowed"."""
    used = size_text(disk.used or 0)
    if not disk.allowed:
        return f"{used} in use, without a limit"
    full = ", full: nothing of others is fetched" if (disk.used or 0) >= disk.allowed else ""
    refused = f", {plural(disk.refused, 'block')} not taken" if disk.refused else ""
    return f"{used} in use of {size_text(disk.allowed)}{full or ' allowed'}{refused}"


def size_text(size: int) -> str:
    """A number of bytes in the largest unit that it has one of: "3.1 MiB"."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"


def next_try(searches: Sequence[Search], now: float) -> str:
    """The same in a few words: "next try in 20 s"."""
    able = [each for each in searches if not each.trouble or each.next_at is not None]
    if not able:
        return "cannot search" if searches else "nothing to try"
    if any(each.next_at is None or each.next_at <= now for each in able):
        return "trying"
    return f"next try in {_seconds(min(each.next_at or now for each in able) - now)}"


def head_text(peer: PeerInfo, now: float) -> str:
    """Whether a peer has been seen to hold this peer's newest head: "level", "behind by 3", "has not answered for 40 s".

    "–" where nothing was seen, as of a peer that is not on the topic."""
    if is_waiting(peer, now):
        return f"has not answered for {_seconds(now - (peer.waiting_since or now))}"
    if peer.behind is None:
        return "–"
    return "level" if peer.behind <= 0 else f"behind by {peer.behind:,}"


def is_waiting(peer: PeerInfo, now: float) -> bool:
    """Whether a peer on the topic has not fetched what was announced to it for too long."""
    return peer.on_topic and peer.waiting_since is not None and now - peer.waiting_since > NOT_FETCHING_AFTER


def not_fetching_text(names: Sequence[str]) -> str:
    """The sentence about peers that do not fetch; the first few are named."""
    subject = plural(len(names), "peer on the topic does", "peers on the topic do")
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{subject} not fetch what you publish: {', '.join(names[:MAX_NAMED])}{more}"


def awaits_first_listings(status: Status, peers: Sequence[PeerInfo], now: float) -> bool:
    """Whether a new peer is on a topic of Go peers alone, none of which has announced its heads yet.

    They do that once a minute, and send none to a peer that joins (docs/protocol.md#announcing)."""
    members = [peer for peer in peers if peer.on_topic]
    heard = bool(status.heads or status.pending or status.listings)
    if heard or not members or status.connectivity is not Connectivity.ONLINE:
        return False
    waited = now - max(peer.connected_since for peer in members)
    return waited < _PATIENCE and all(peer.agent and not peer.agent.startswith(_OWN_KIND) for peer in members)


def _search_text(search: Search, now: float) -> str:
    if search.trouble and search.next_at is None:
        return f"{search.what} is not possible: {search.trouble}"
    text = f"{search.what}: {search.trouble}" if search.trouble else search.what
    if search.next_at is None or search.next_at <= now:
        return text
    return f"{text}, next try in {_seconds(search.next_at - now)}"


def _seconds(seconds: float) -> str:
    """A duration in its largest unit: "20 s", "3 min"."""
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 120 else f"{whole // 60} min"
