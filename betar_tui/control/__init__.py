"""The running peer's `Marketplace`, over a Unix socket: for commands and for an interface that attaches to it.

One JSON object a line, in the form of JSON-RPC 2.0; each connection carries one call, `events` keeps it open. Only the
owner of the data directory can open the socket. May import `market`, `config` and `errors`. Doors: `serve_control`,
`ControlClient`.
"""

from betar_tui.control.client import ControlClient
from betar_tui.control.server import serve_control

__all__ = ["ControlClient", "serve_control"]
