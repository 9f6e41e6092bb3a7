"""The running peer's `Marketplace`, over a Unix socket: for commands and for an interface that attaches to it.

Messages are JSON-RPC 2.0, one object a line; a connection carries one call, or the stream of `events`. Only the owner of
the data directory can open the socket."""

from betar_tui.control.client import ControlClient
from betar_tui.control.server import serve_control

__all__ = ["ControlClient", "serve_control"]
