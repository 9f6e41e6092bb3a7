"""Bitswap with JavaScript: a small peer on libp2p and Helia's Bitswap, installed by npm outside the repository."""
