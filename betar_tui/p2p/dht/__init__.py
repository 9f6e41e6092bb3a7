"""The Kademlia DHT of IPFS, `/ipfs/kad/1.0.0`: enough of it to find the peers of the market and to be found.

`messages`, `lookup`, `routing_table` and `providers` are pure; `client` asks other peers, `server` answers them, and
`contacts` owns the connections that only a lookup needs. When there is something to ask is decided by
`discovery.kademlia`. Why not the library's: docs/py-libp2p.md#discovery."""
