"""p2p: everything that touches the network, and nothing else.

The room holds the libp2p host, gossip on the market's topic, Bitswap in both directions, the liveness of connections
and the dialling of peers. It may import `betar_tui.errors` and the libraries it adapts; it knows nothing of the
store, of listings or of the interface. py-libp2p 0.8.1 has habits that would kill or deafen a long-running peer: each
adaptation lives here, next to a comment that starts with "py-libp2p 0.8.1:" and names the habit.

Doors: `types` (plain dataclasses and the `BlockSource` protocol; imports no libp2p) and `network.open_network`.
Payloads, CIDs and blocks are raw bytes; peer ids are base58 strings. Importing this package alone loads no library:
libp2p takes a second, so callers import `betar_tui.p2p.network` only when they go online.
"""
