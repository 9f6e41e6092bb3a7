"""The market: what a listing is, how it is signed, searched, sorted and published. Knows no network and no store.

`fields` says what a listing is, in one table. Most modules are pure: `fields`, `listing`, `compose`, `provenance`,
`republish`, `filter`, `facts`, `sorting`, `prices`, `history` and `text`. Three use trio: `own` and `seller` write own
listings through a store and a writer that are handed to them, and `hub` passes events on.

Public names: `marketplace` (the protocol and its dataclasses) for all rooms above; `fields`, `filter`, `sorting`,
`prices`, `history` and `text` for the interface and the commands; `facts` and the codec for the catalogue; `seller`,
`hub` and `provenance.Signer` for the peer.
"""
