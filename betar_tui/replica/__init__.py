"""The Merkle-CRDT: its wire forms, its rules, its heads. No I/O, no clock, no async.

Bytes and facts come in, facts go out, in the manner of h11. Everything the network can say about the replicated state
passes through `decode_node` or `decode_broadcast` once. What must be remembered is reached through `ReplicaStorage`, which
the caller supplies: the SQLite store in a peer, dictionaries in a test.

Doors: `Replica` (merge, write), `DagNode`, `decode_node`, `Head`, `decode_broadcast`, `encode_broadcast`, `cid`, `keys`.
"""

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
