"""Everything of this room that needs libp2p, in one import, for callers that go online only later."""

from betar_tui.p2p.dagsync.messages import PROTOCOL as DAGSYNC_PROTOCOL
from betar_tui.p2p.dagsync.server import DagSyncServer
from betar_tui.p2p.network import Network, open_network
from betar_tui.p2p.replication import Replication, acceptable
from betar_tui.p2p.rootkeeper import RootKeeper
from betar_tui.p2p.roots import Roots

__all__ = [
    "DAGSYNC_PROTOCOL",
    "DagSyncServer",
    "Network",
    "Replication",
    "RootKeeper",
    "Roots",
    "acceptable",
    "open_network",
]
