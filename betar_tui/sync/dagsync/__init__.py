"""`/betar-tui/dagsync/1.0.0`: all that is missing of a DAG in one round trip, between betar-tui peers
(docs/protocol.md#dag-exchange).

    request    varint | DAG-CBOR {v: 1, wants: [CID …], haves: [CID …], max_bytes, max_blocks}
    response   CARv1 with the wants as roots, newest blocks first, ended by a section of length 0
    trailer    varint | DAG-CBOR {blocks, bytes, complete}

A stream carries any number of requests, one after the other. `messages` and `walk` are pure; `server` and `client` do
the I/O. A stream has no state to resume: if one breaks, any peer can be asked for the links that are still missing."""
