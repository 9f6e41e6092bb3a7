"""The network of one peer. This room knows neither the replica nor its synchronisation, the store or the market.

- Public names: `opening.open_network`; `types`, which has the plain values that callers need, and imports no libp2p.
- `gossip` broadcasts on the market's topic; `bitswap/` fetches and serves blocks; `streams` wraps the streams of all
  other protocols, whose messages `frames` delimits.
- `host` builds the libp2p host; `identify` asks each new peer for its agent and protocols; `connection_table` lists the
  connected peers; `liveness` closes connections whose far end is silent; `dialer` dials, from its `address_book`;
  `changes` notices that this machine has moved or slept, and `recovery` acts on it.
- `guard` contains exceptions; `misbehaviour` counts broken rules and bans peers; `event_queue` queues events.
- `adaptations/` has the subclasses of py-libp2p's classes and the register of all that they adapt. The habits of
  py-libp2p 0.8.1 that would kill or deafen a long-running peer are described in docs/py-libp2p.md.

Payloads, CIDs and blocks are raw bytes; peer ids are base58 strings. Importing this package alone loads no library:
libp2p takes a second, so callers import `betar_tui.p2p.opening` only when they go online. It does say where libp2p is to
be found, and what stands for packages that it asks for in vain: see `adaptations.libraries`."""

from betar_tui.p2p.adaptations.libraries import prepare

prepare()
