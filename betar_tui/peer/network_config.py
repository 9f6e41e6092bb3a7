"""How the network of a peer is opened: what the settings say, and what earlier runs have left."""

from collections.abc import Iterable

from betar_tui import __version__
from betar_tui.config import Config
from betar_tui.p2p.discovery.bootstrap import dht_seeds
from betar_tui.p2p.misbehaviour import Ban
from betar_tui.p2p.types import NetworkConfig


def network_config(
    config: Config,
    seed: bytes,
    blocked: Iterable[str],
    known_peers: tuple[tuple[str, tuple[str, ...]], ...],
    bans: tuple[Ban, ...],
    *,
    free_port: bool,
) -> NetworkConfig:
    """The configuration of a network. With `free_port`, it takes another port where the one that was asked for is taken."""
    return NetworkConfig(
        seed=seed,
        listen=config.listen,
        listen_explicit=config.listen_explicit and not free_port,
        bootstrap=config.bootstrap,
        known_peers=known_peers,
        bans=bans,
        blocked=tuple(blocked),
        mdns=config.mdns,
        dht=config.dht,
        dht_server=config.dht_server,
        dht_seeds=dht_seeds(config.dht, config.bootstrap),
        upnp=bool(config.upnp),
        agent_version=f"betar-tui/{__version__}",
    )
