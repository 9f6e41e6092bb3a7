"""The replication engine: keeps one replica in step with the other peers of the topic.

`replication` decides what to fetch, merge and announce; `fetching` gets missing blocks, by `dagsync` from betar-tui
peers and over Bitswap from all others; `writer` merges them in a thread of its own, from the `merge_queue`.
`pending_heads` limits the announced heads that are waited for, `pending_heads_journal` carries them over a restart,
`delivery` counts the peers that have our own deltas, and `progress` measures a sync.

The package imports `betar_tui.replica`, `ipld` and `values`, and from `p2p` the `types` of events and streams and
`frames`; the network itself is handed in. It does not know what a listing is, nor how the replica is stored.

Public names: `replication.Replication`, `accepting.accept_broadcast`, `writer.ReplicaWriter`,
`dagsync.server.DagSyncServer`, `PendingHeads` and `PendingHeadsJournal`."""
