"""What a listing is: its two dialects, its provenance, its validation; the search index; publishing and announcing.

Pure but for what it is handed: no sockets, no files, no SQLite. May import `replica` (keys, CIDs), `store.facts`,
`config` and `errors`. Doors: `marketplace` (the protocol and its dataclasses, for everybody above), `index`, `filter`
and `text` (for the interface), `book`, `compose` and `announce` (for the node).
"""
