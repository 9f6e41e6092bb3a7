"""One peer, assembled: the rooms below joined to a `Marketplace`.

`async with open_peer(config, network=True) as node`: what is stored can be read at once; the network, whose library
takes a second to import, comes up beside it. With `network=False` (a command where no peer runs) the node reads and
writes the store, and what it publishes is announced at the next start. May import everything below; nothing here knows
a rule, and libp2p is imported only when the network opens.
"""

from betar_tui.peer.first_page import FirstPage
from betar_tui.peer.peer import Peer, open_peer

__all__ = ["FirstPage", "Peer", "open_peer"]
