"""What is done to find peers, as values for people. Pure.

`Network.searches` asks each discovery for its `Search`, and adds the peers that are dialled."""

from collections.abc import Mapping

from betar_tui.plurals import plural
from betar_tui.values import Search

_KINDS = {
    "bootstrap": "bootstrap peer",
    "remembered": "remembered peer",
    "mdns": "peer{} of the local network",
    "dht": "peer{} found in the DHT",
    "connect": "peer{} added by hand",
    "incoming": "peer{} that dialled this one",
}
"""Peers by `PeerInfo.found`; {} is where the plural has its ending."""


def search(what: str, due: float, offset: float, trouble: str) -> Search:
    """A discovery that tries next at `due`, by a clock that is `offset` seconds behind Unix time; 0 means that it tries
    now, or cannot because of `trouble`."""
    return Search(what, due + offset if due else None, trouble)


def dialling(unconnected: Mapping[str, tuple[int, float]], now: float, wall_clock: float) -> tuple[Search, ...]:
    """The peers that are dialled, see `AddressBook.unconnected`; `now` is in its time, `wall_clock` in Unix seconds."""
    return tuple(
        Search(f"dialling {_counted(count, found)}", wall_clock + due - now if due > now else None)
        for found, (count, due) in unconnected.items()
    )


def _counted(count: int, found: str) -> str:
    kind = _KINDS.get(found, "known peer")
    return plural(count, kind.format(""), kind.format("s") if "{}" in kind else "")
