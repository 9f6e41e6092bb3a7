"""Who may connect: places for connections and for handshakes, and who gives way when there are not enough.

A place costs an attacker nothing but a socket, so places are not simply taken in the order of arrival. While there are
enough nobody is turned away. When there are not, those give way that this peer has least of: not on the topic, never the
first to bring a broadcast, from an address or a network that has many places. Peers that were dialled or are known from
before keep theirs.

Pure: the caller passes the time, in seconds, and closes what gives way."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network

MAX_HALF_OPEN, MAX_HALF_OPEN_PER_IP = 512, 384
"""Maximum connections whose handshake is under way, and of them from one address. A silent one costs a socket."""
MIN_HALF_OPEN = 1.0
"""Seconds that a handshake has in any case; beyond the maximum, older ones of the address with most give way."""
RESERVED_FRACTION = 1 / 8
"""Fraction of the places that only peers may take which are known, or that this peer dials."""
MAX_PER_IP, MAX_PER_PREFIX = 32, 64
"""Maximum connections of one public address, and of one network of them: a /24, or a /56 of IPv6."""
NEAR_FRACTION = 3 / 4
"""Fraction of the places that one private or loopback address may have: a whole network may stand behind one of them, or be
tried out on one machine."""
GRACE = 3.0
"""Seconds after which a connection may give way: by then a peer of the market is on the topic."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A connection in its place. `useful` is whether its peer was the first to bring a broadcast; `kept` ones never give
    way. An `arriving` one has been given the place, and waits for another to leave it."""

    key: Hashable
    ip: str
    since: float
    on_topic: bool = False
    useful: bool = False
    kept: bool = False
    arriving: bool = False


@lru_cache(maxsize=4096)
def prefix_of(ip: str) -> str:
    """The network that an address counts for: a /24, or a /56 of IPv6; "" for addresses that are not public."""
    try:
        parsed = ip_address(ip)
    except ValueError:
        return ""
    if mapped := getattr(parsed, "ipv4_mapped", None):
        parsed = mapped
    if not parsed.is_global:
        return ""
    return str(ip_network(f"{parsed}/{24 if parsed.version == 4 else 56}", strict=False))


def origin_of(ip: str) -> str:
    """Whom an address counts for: itself, or its /56 if it is a public one of IPv6, since one customer has all of a /56."""
    prefix = prefix_of(ip)
    return prefix if prefix.endswith("/56") else ip


def limits_of(ip: str, places: int) -> int:
    """How many of the places an address may have."""
    return MAX_PER_IP if prefix_of(ip) else max(1, int(places * NEAR_FRACTION))


class Refusal(Exception):
    """Every place is taken."""


def giving_way(places: Sequence[Seat], ip: str, known: bool, maximum: int, now: float) -> Seat | None:
    """Which connection gives way to a new one from `ip`, None if there is room. Raises Refusal if none does."""
    prefix = prefix_of(ip)
    alike = [place for place in places if place.ip == ip]
    near = [place for place in places if prefix and prefix_of(place.ip) == prefix]
    if not known and len(alike) >= limits_of(ip, maximum):
        return _least(alike, places, now)
    if not known and len(near) >= MAX_PER_PREFIX:
        return _least(near, places, now)
    if len(places) >= maximum - (0 if known else int(maximum * RESERVED_FRACTION)):
        return _least(places, places, now)
    return None


def _least(candidates: Iterable[Seat], places: Sequence[Seat], now: float) -> Seat:
    """The one that is least worth keeping. Raises Refusal.

    A useful one does not give way while there are new ones: a rush of connections, all of them too new to give way, would
    displace every peer of the market. Soon one of them can."""
    candidates = tuple(candidates)
    of_ip = Counter(place.ip for place in places)
    of_prefix = Counter(prefix_of(place.ip) for place in places)
    of_prefix[""] = 0
    evictable = [place for place in candidates if not place.kept and now - place.since >= GRACE]
    new = any(place.arriving or (not place.kept and now - place.since < GRACE) for place in candidates)
    if not evictable:
        raise Refusal

    def worth(place: Seat) -> tuple[float, ...]:
        # Of useless ones the oldest goes, which had most time to become useful; of useful ones the newest.
        many = -of_ip[place.ip], -of_prefix[prefix_of(place.ip)]
        return place.useful, place.on_topic, *many, -place.since if place.useful else place.since

    least = min(evictable, key=worth)
    if least.useful and new:
        raise Refusal
    return least


class HalfOpen:
    """The handshakes under way, by any key. Addresses are origins, see `origin_of`."""

    def __init__(self, maximum: int = MAX_HALF_OPEN, per_ip: int = MAX_HALF_OPEN_PER_IP) -> None:
        self._maximum, self._per_ip = maximum, per_ip
        self._since: dict[str, dict[Hashable, float]] = {}  # by address, the oldest first
        self._ips: dict[Hashable, str] = {}

    def __len__(self) -> int:
        return len(self._ips)

    def enter(self, key: Hashable, ip: str, now: float) -> Hashable | None:
        """A connection has come. Returns one that gives way, if any. Raises Refusal if every place is taken."""
        gives_way = None
        if len(self._since.get(ip, ())) >= self._per_ip:
            gives_way = self._oldest(ip, now)
        elif len(self._ips) >= self._maximum:
            gives_way = self._oldest(max(self._since, key=lambda each: len(self._since[each])), now)
        if gives_way is not None:
            self.leave(gives_way)
        self._since.setdefault(ip, {})[key] = now
        self._ips[key] = ip
        return gives_way

    def leave(self, key: Hashable) -> None:
        """A handshake is over; nothing if it is not under way."""
        ip = self._ips.pop(key, None)
        if ip is None:
            return
        del self._since[ip][key]
        if not self._since[ip]:
            del self._since[ip]

    def _oldest(self, ip: str, now: float) -> Hashable:
        key, since = next(iter(self._since[ip].items()))
        if now - since < MIN_HALF_OPEN:
            raise Refusal
        return key
