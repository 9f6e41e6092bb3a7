"""`/betar-tui/dagsync/1.0.0`: the whole missing part of a DAG in one round trip, between our own peers (PROTOCOL 5).

    request    varint | DAG-CBOR {v: 1, wants: [CID …], haves: [CID …], max_bytes, max_blocks}
    response   CARv1 with the wants as roots, newest blocks first, ended by a section of length 0
    trailer    varint | DAG-CBOR {blocks, bytes, complete}

A stream carries any number of requests, one after the other. `messages` and `walk` are pure; `server` and `client` move
their results. Nothing needs to be remembered about a stream: after a cut, any peer is asked for the links still missing.
"""
