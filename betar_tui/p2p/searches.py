"""What is done to find peers, as values for people. Pure.

`Network.searches` asks each discovery for its `Search`, and adds the peers that are dialled."""

from collections.abc import Callable, Mapping

from betar_tui.p2p.types import NetworkConfig
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


def configured(config: NetworkConfig) -> dict[str, Callable[[], Search]]:
    """The ways to search that are switched on. A discovery that runs puts in what it does now, under the same name."""
    ways = {"mdns": "searching the local network", "dht": "searching the DHT"}
    on = {"mdns": config.mdns, "dht": config.dht}
    return {name: _constant(Search(what)) for name, what in ways.items() if on[name]}


def dialling(unconnected: Mapping[str, tuple[int, float]], now: float, wall_clock: float) -> tuple[Search, ...]:
    """The peers that are dialled, see `AddressBook.unconnected`; `now` is in its time, `wall_clock` in Unix seconds."""
    return tuple(
        Search(f"dialling {_counted(count, found)}", wall_clock + due - now if due > now else None)
        for found, (count, due) in unconnected.items()
    )


def _counted(count: int, found: str) -> str:
    kind = _KINDS.get(found, "known peer")
    ending = "" if count == 1 else "s"
    return f"{count} {kind.format(ending) if '{}' in kind else kind + ending}"


def _constant(search: Search) -> Callable[[], Search]:
    return lambda: search
