"""Addresses of the peers to dial, and the pauses after failures. Pure; `dialer.py` does the dialling.

The peers are the bootstrap peers, peers that the user connected to, remembered ones, those that a discovery found, and
all that have been on the topic, whichever side dialled. After a failure a peer is not dialled for a pause that doubles up
to a limit, with jitter so that peers that lost the same neighbour do not all return in the same moment. A peer counts as
reached again when it is on the topic: one that accepts connections and is no member must not be dialled every second.

What a peer claims of its addresses may be invented, and a discovery may find anybody. So peers that only claimed
addresses are dialled more and more rarely, strangers are dropped after some failures or a connection without the topic,
and both have few places."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from betar_tui.p2p.addresses import MAX_ADDRS_PER_PEER, dial_order, is_peer_id, with_peer

MAX_PEERS = 1024
"""Maximum peers with an entry."""
MAX_CLAIMED_PEERS = 128
"""Maximum peers whose addresses are only their own claim."""
MAX_STRANGERS = 256
"""Maximum peers that a discovery found and that have not been on the topic."""
MAX_HEARD = 8
"""Maximum addresses that a discovery names for a peer that is known otherwise."""
MAX_DISMISSED = 1024
"""Maximum peers that are remembered as not to be dialled."""
JITTER = 0.3
"""Fraction of a pause by which it varies either way."""
RECENT, RECENT_FRACTION = 600.0, 0.25
"""Seconds for which a lost member of the topic is dialled more often, and the fraction of the longest pause meanwhile."""
CLAIM_FACTOR = 10
"""How many times longer the longest pause is for a peer that was never reached at the addresses that it claims."""
STRANGER_FAILURES = 8
"""Number of failures after which a stranger is dropped."""
STRANGER_SECONDS = 10.0
"""Seconds that a stranger may be connected without being on the topic. It is left then, and dropped when it has
disconnected."""
_GIVEN = ("bootstrap", "connect")
_DISCOVERED = ("mdns", "dht")


@dataclass(slots=True)
class _Entry:
    """`given` addresses come from the user and stay; `addrs` are what the peer says, and of a stranger what others say;
    `heard` are what a discovery says of any other peer.

    `failures` and `unsaved` count failed dials and connections without the topic: since the peer was last on the topic,
    and since the last `take_failures`; `tries` those since the pauses were last reset."""

    found: str
    given: tuple[str, ...] = ()
    addrs: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()
    reached: bool = False
    member: bool = False
    joined: bool = False  # in its present connections
    since: float = float("inf")
    seen: float = float("-inf")
    failures: int = 0
    unsaved: int = 0
    tries: int = 0
    due: float = 0.0

    @property
    def all(self) -> tuple[str, ...]:
        known = tuple(dict.fromkeys(self.given + self.addrs))
        heard = tuple(each for each in self.heard if each not in known)
        return dial_order(known[: MAX_ADDRS_PER_PEER - len(heard)] + heard)

    @property
    def is_stranger(self) -> bool:
        return self.found in _DISCOVERED and not self.member and not self.given

    @property
    def is_claim(self) -> bool:
        return self.found == "incoming" and not self.reached and not self.given

    @property
    def is_doubtful(self) -> bool:
        return self.is_stranger or self.is_claim


class AddressBook:
    """Addresses by peer id, and when each peer may be dialled next."""

    def __init__(
        self, own: str, pause_min: float, pause_max: float, jitter: Callable[[], float] = random.random
    ) -> None:
        self._own = own
        self._pause_min = pause_min
        self._pause_max = pause_max
        self._jitter = jitter
        self._entries: dict[str, _Entry] = {}
        self._dismissed: dict[str, None] = {}

    def add(self, peer: str, addrs: Iterable[str], found: str = "") -> bool:
        """Remember addresses, the newest first, except this peer's own. Returns whether the peer has an entry now.

        `found` says how the peer was found, see `PeerInfo`; the first one that is given counts. Addresses found as
        "bootstrap" or "connect" stay whatever the peer says of itself. Those that a discovery found may be invented: they
        take no place of others of a peer that is no stranger or was reached."""
        if found in _GIVEN:
            self._dismissed.pop(peer, None)
        new = with_peer(addrs, peer)
        entry = self._entries.get(peer)
        if entry is None:
            if peer == self._own or peer in self._dismissed or not new or not is_peer_id(peer):
                return False
            entry = _Entry(found)
            if not self._has_room(entry):
                return False
            self._entries[peer] = entry
        entry.found = entry.found or found
        if found in _GIVEN:
            entry.given = tuple(dict.fromkeys(new + entry.given))[:MAX_ADDRS_PER_PEER]
        elif found in _DISCOVERED and (entry.reached or not entry.is_stranger):
            entry.heard = tuple(dict.fromkeys(new + entry.heard))[:MAX_HEARD]
        else:
            entry.addrs = dial_order(new + entry.addrs)[:MAX_ADDRS_PER_PEER]
        return True

    def replace(self, peer: str, addrs: Iterable[str]) -> None:
        """Replace the addresses, but for those that the user gave, by those that the peer itself announced and the one
        that has just worked."""
        entry = self._entries.get(peer)
        new = with_peer(addrs, peer)
        if entry is not None and new:
            entry.addrs, entry.heard = dial_order(new), ()

    def dismiss(self, peer: str) -> None:
        """Do not dial the peer any more, until the user gives an address of it."""
        self._entries.pop(peer, None)
        self._dismissed[peer] = None
        while len(self._dismissed) > MAX_DISMISSED:
            del self._dismissed[next(iter(self._dismissed))]

    def is_dismissed(self, peer: str) -> bool:
        """Whether the peer is not to be dialled, because the user does not want it."""
        return peer in self._dismissed

    def forget(self, peer: str) -> None:
        """Do not dial the peer any more, unless it turns up again or the user gave an address of it."""
        entry = self._entries.get(peer)
        if entry is not None and not entry.given:
            del self._entries[peer]

    def addrs(self, peer: str) -> tuple[str, ...]:
        """Known addresses in the order to try."""
        entry = self._entries.get(peer)
        return () if entry is None else entry.all

    def found(self, peer: str) -> str:
        """How the peer was found; "" for one without an entry."""
        entry = self._entries.get(peer)
        return "" if entry is None else entry.found

    def reached(self, peer: str) -> bool:
        """Whether a dial has reached the peer in this run."""
        entry = self._entries.get(peer)
        return entry is not None and entry.reached

    def is_known(self, peer: str) -> bool:
        """Whether the user gave an address of the peer, or it was on the topic and was reached by a dial, now or earlier."""
        entry = self._entries.get(peer)
        return entry is not None and bool(
            entry.given or entry.found == "remembered" or (entry.reached and entry.member)
        )

    def take_failures(self) -> dict[str, int]:
        """Number of failures by peer since the last call, for peers that have any."""
        failures = {peer: entry.unsaved for peer, entry in self._entries.items() if entry.unsaved}
        for peer in failures:
            self._entries[peer].unsaved = 0
        return failures

    def due(self, now: float, busy: Callable[[str], bool]) -> tuple[str, ...]:
        """Peers that should be dialled now. Doubtful ones come last, members of the topic and those that the user gave
        first, and of each kind those with the fewest failures.

        Left out are those that are `busy`: connected, banned or being dialled."""
        found = [
            ((entry.is_doubtful, not (entry.member or entry.given), entry.failures), peer)
            for peer, entry in self._entries.items()
            if entry.due <= now and not busy(peer)
        ]
        return tuple(peer for _, peer in sorted(found, key=lambda each: each[0]))

    def is_doubtful(self, peer: str) -> bool:
        """Whether nothing speaks for a peer but a discovery or its own claim. Anybody can invent such peers."""
        entry = self._entries.get(peer)
        return entry is not None and entry.is_doubtful

    def next_due(self, busy: Callable[[str], bool]) -> float:
        """When the next peer becomes due; infinity when none will."""
        return min((entry.due for peer, entry in self._entries.items() if not busy(peer)), default=float("inf"))

    def retry(self, now: float) -> None:
        """Every peer may be dialled at once, and the pauses begin anew: the network has changed."""
        for entry in self._entries.values():
            entry.tries = 0
            entry.due = min(entry.due, now)

    def unconnected(self, left_out: Callable[[str], bool]) -> dict[str, tuple[int, float]]:
        """The peers that are not `left_out`, such as those that are connected, by how they were found: their number, and
        when the first of them is due."""
        counted: dict[str, tuple[int, float]] = {}
        for peer, entry in self._entries.items():
            if not left_out(peer):
                number, due = counted.get(entry.found, (0, entry.due))
                counted[entry.found] = (number + 1, min(due, entry.due))
        return counted

    def failed(self, peer: str, now: float, count: bool = True) -> None:
        """A dial failed. `count` is whether that is likely to be the peer's fault, not that of the own network."""
        entry = self._entries.get(peer)
        if entry is None:
            return
        entry.due = now + self._pause(entry, now)
        entry.tries += 1
        entry.failures += 1
        entry.unsaved += count
        if entry.is_stranger and entry.failures >= STRANGER_FAILURES:
            del self._entries[peer]

    def answered(self, peer: str, now: float) -> None:
        """A dial succeeded. The connection may end at once, or has ended already: there is a pause all the same."""
        entry = self._entries.get(peer)
        if entry is not None:
            entry.reached = True
            entry.due = max(entry.due, now + self._pause(entry, now))

    def connected(self, peer: str, now: float, reached: bool) -> None:
        """The peer is connected, and `lost` will be called; `reached` if it was dialled."""
        entry = self._entries.get(peer)
        if entry is not None:
            entry.since = min(entry.since, now)
            entry.reached = entry.reached or reached

    def joined(self, peer: str, now: float) -> None:
        """The peer is on the topic."""
        entry = self._entries.get(peer)
        if entry is not None:
            entry.member = entry.joined = True
            entry.seen = now
            entry.failures = entry.unsaved = entry.tries = 0

    def lost(self, peer: str, now: float) -> None:
        """The last connection ended: dial again soon, not at once (it may have been closed on purpose)."""
        entry = self._entries.get(peer)
        if entry is None:
            return
        lasted, entry.since = now - entry.since, float("inf")
        if entry.joined:
            entry.joined = False
            entry.seen = now
            entry.due = now + self._pause_min * self._jitter()
        elif entry.is_stranger and lasted >= STRANGER_SECONDS:
            del self._entries[peer]
        else:
            self.failed(peer, now)

    def overstayed(self, now: float) -> tuple[str, ...]:
        """Strangers that have been connected for STRANGER_SECONDS without being on the topic."""
        return tuple(
            peer
            for peer, entry in self._entries.items()
            if entry.is_stranger and not entry.joined and now - entry.since >= STRANGER_SECONDS
        )

    def _pause(self, entry: _Entry, now: float) -> float:
        """Seconds until a peer is dialled again after as many failures as it had so far."""
        longest = self._pause_max
        if now - entry.seen < RECENT:
            longest *= RECENT_FRACTION
        elif entry.is_claim:
            longest *= CLAIM_FACTOR
        pause = min(longest, self._pause_min * 2.0 ** min(entry.tries, 30))
        return pause * (1 - JITTER + 2 * JITTER * self._jitter())

    def _has_room(self, new: _Entry) -> bool:
        """Whether there is a place for a new entry, made if need be by dropping the one of its kind that failed most."""
        if new.is_claim:
            alike, limit = [peer for peer, entry in self._entries.items() if entry.is_claim], MAX_CLAIMED_PEERS
        elif new.is_stranger:
            alike, limit = [peer for peer, entry in self._entries.items() if entry.is_stranger], MAX_STRANGERS
        else:
            alike, limit = [peer for peer, entry in self._entries.items() if not entry.given], MAX_PEERS
        if len(alike) < limit and len(self._entries) < MAX_PEERS:
            return True
        worst = max(alike, key=lambda peer: self._entries[peer].failures, default="")
        if not worst or not self._entries[worst].failures:
            return False
        del self._entries[worst]
        return True
