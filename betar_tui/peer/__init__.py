"""One peer, assembled: the rooms below joined to a `Marketplace`.

`async with open_peer(config, network=True) as peer`: the stored listings can be read at once, while the network is still
coming up. With `network=False`, as in a command where no peer runs, the peer reads and writes the store only, and its
deltas are announced at the next start. libp2p is imported when the network opens, not before."""

from betar_tui.peer.peer import Peer, open_peer

__all__ = ["Peer", "open_peer"]
