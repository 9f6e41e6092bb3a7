"""The peers that a person has blocked, by id and by the bytes with which they sign their gossip. Pure."""

from collections.abc import Iterable

from betar_tui.errors import NetworkError
from betar_tui.p2p import addresses


class Blocklist:
    """A set of peers. Texts that are not peer ids are ignored."""

    def __init__(self, peers: Iterable[str]) -> None:
        self._raw: dict[str, bytes] = {}
        self._authors: set[bytes] = set()
        for peer in peers:
            self.add(peer)

    def __contains__(self, peer: str) -> bool:
        return peer in self._raw

    def has_author(self, raw: bytes) -> bool:
        """Whether a broadcast with this `from` is of a blocked peer. Never encodes it: it may be of any length."""
        return raw in self._authors

    def add(self, peer: str) -> None:
        """Block a peer."""
        try:
            self._raw[peer] = addresses.peer_id(peer).to_bytes()
        except NetworkError:
            return
        self._authors.add(self._raw[peer])

    def discard(self, peer: str) -> None:
        """Block it no longer."""
        self._authors.discard(self._raw.pop(peer, b""))
