"""The storage of a peer: one SQLite file in its data directory.

It contains blocks, the set's elements and tombstones, heads, wants, files, peers, settings and own documents. One
writer, one transaction per merge. The rules of the CRDT are not known here, only facts and changes (`replica.facts`).
Calls block, so callers run them in a worker thread. The package imports only `betar_tui.replica.facts` and `errors`.

`merging` writes a merge. `packing` compresses history that no key shows any more into the groups that `history` reads:
to other modules a block is a block, plain or packed.

Public names: `database.open_store`, `Store`, `lock.DirectoryLock`."""
