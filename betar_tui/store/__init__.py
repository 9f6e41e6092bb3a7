"""What a peer remembers, in one SQLite file under its data directory.

Blocks, the set's elements and tombstones, heads, wants, files, peers. One writer; one transaction per merge; no rule of
the CRDT is known here, only facts and changes (`facts`). Imports nothing but `betar_tui.errors`. Blocking: callers run
it in a worker thread.

A merge is written by `merging`. History that no key shows any more is packed by `packing` into the `groups` that
`history` reads: to everybody else a block is a block, wherever it lies.

Doors: `database.open_store`, `Store`, `facts`, `lock.DirectoryLock`. Nothing is imported here, so that `facts` can be
used without SQLite.
"""
