"""Content-addressed bytes: CIDs, dag-pb's protobuf, DAG-CBOR, CAR archives, and the one UnixFS file a listing needs.

Bytes in, values out, or `DecodeError`. Each decoder has a budget of bytes, items or depth, so that decoding hostile
input costs no more than receiving it. No I/O, no async, no knowledge of the replicated map. The package imports only
`betar_tui.errors` and the encoders it wraps (`cbor2`, `multiformats`).

Public names: `cid`, `protobuf`, `dagcbor`, `car`, `unixfs`. A variable that holds a CID is called `cid`, so modules with
such variables import the module as `cids`."""
