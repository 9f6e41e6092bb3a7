"""Bitswap, both directions, over the host's streams.

py-libp2p 0.8.1: its client stores unsolicited and wrong blocks, answers on streams that Go never reads, waits 15 ms
before each send, ignores a HAVE, and limits nothing (docs/py-libp2p.md#bitswap). Only the library's streams are used
here.

`messages`, `wants` and `ledger` are pure: bytes and facts in, facts out, the time is an argument. `engine` moves their
results over streams and is the only file here with tasks. Other rooms use `engine.Bitswap`."""
