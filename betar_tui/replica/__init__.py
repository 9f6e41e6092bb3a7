"""The Merkle-CRDT: its wire formats, its merge rules, its heads. No I/O, no clock, no async.

Bytes and facts come in, facts go out, in the manner of h11. Everything that the network can say about the replicated
map passes once through `decode_broadcast`, and once through `decode_node`, or `decode_verified` for a block that was
verified where it came in. Storage is behind `ReplicaStorage`, which the caller supplies: the SQLite store in a peer,
dictionaries in a test. The package imports only `betar_tui.ipld` and `errors`.

Public names: `Replica` (merge, write), `DagNode` and its decoders, `Head`, `decode_broadcast`, `encode_broadcast`, `keys`,
`facts`, `ReplicaStorage`."""

from betar_tui.replica.broadcast import Head, decode_broadcast, encode_broadcast
from betar_tui.replica.node import DagNode, decode_node, decode_verified, outline
from betar_tui.replica.replica import Applied, Effect, Merged, Replica, Written
from betar_tui.replica.storage import ReplicaStorage

__all__ = [
    "Applied",
    "Effect",
    "Head",
    "Merged",
    "DagNode",
    "ReplicaStorage",
    "Replica",
    "Written",
    "decode_broadcast",
    "decode_node",
    "decode_verified",
    "encode_broadcast",
    "outline",
]
