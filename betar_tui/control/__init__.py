"""The running peer's `Marketplace`, over a Unix socket: for commands and for an interface that attaches to it.

Messages are JSON-RPC 2.0, one object a line; a connection carries one call, or the stream of `events`. Only the owner of
the data directory can open the socket.

`client.ControlClient` asks from an event loop, `command.CommandClient` without one; `server.serve_control` answers."""
