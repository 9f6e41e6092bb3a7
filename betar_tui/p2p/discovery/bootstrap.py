"""The public bootstrap peers of the IPFS network, which a peer of the market asks when it knows nobody else."""

from collections.abc import Sequence

PUBLIC = (
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt",
    "/ip4/104.131.131.82/tcp/4001/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ",
)
"""go-libp2p-kad-dht's default, which a Go betar uses too."""


def dht_seeds(dht: bool, bootstrap: Sequence[str]) -> tuple[str, ...]:
    """The public peers to ask: none without the DHT, and none where bootstrap peers are configured."""
    return PUBLIC if dht and not bootstrap else ()
