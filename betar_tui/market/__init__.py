"""The market: what a listing is, how it is signed, searched, sorted and published. Knows no network and no store.

`fields` says what a listing is, in one table. Most modules are pure: `fields`, `listing`, `compose`, `provenance`,
`republish`, `filter`, `sorting`, `index`, `term_cache`, `text` and `catalogue`. Three use trio: `own` and `seller`
write own listings through a store and a writer that are handed to them, and `hub` passes events on.

Public names: `marketplace` (the protocol and its dataclasses) for all rooms above; `fields`, `filter`, `index`, `sorting`
and `text` for the interface and the commands; `catalogue`, `seller`, `hub`, `provenance.Signer` and the codec for the peer.
"""
