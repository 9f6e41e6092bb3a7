"""Who wrote a listing: Ed25519 signatures by the seller's peer key (PROTOCOL 7).

Signed is `PREFIX` and the canonical DAG-CBOR of the listing without its `signature`. A peer id of an Ed25519 key
contains the public key, so a signature proves that the peer in `seller_id` wrote the listing, whoever replicated it.
"""

import base64
import binascii
from collections.abc import Mapping

import base58
import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from betar_tui.market.marketplace import Provenance

PREFIX = b"betar-listing:v1:"
ALGORITHM = "ed25519"

# An identity multihash of the protobuf PublicKey {Type: Ed25519, Data: 32 bytes}.
_PEER_ID_PREFIX = b"\x00\x24\x08\x01\x12\x20"
_INTEGERS = range(-(1 << 64), 1 << 64)


class Signer:
    """Signs listings with a peer's key, given as its 32-byte Ed25519 seed."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._key.public_key().public_bytes_raw()
        self.peer_id = peer_id_of(self._public)

    def sign(self, listing: Mapping[str, object]) -> dict[str, str]:
        """The `signature` of a listing; one that the listing already has is left out of what is signed."""
        return {
            "alg": ALGORITHM,
            "key": base64.b64encode(self._public).decode(),
            "sig": base64.b64encode(self._key.sign(signed_bytes(listing))).decode(),
        }


def peer_id_of(public_key: bytes) -> str:
    """The base58 peer id of a 32-byte Ed25519 public key."""
    return base58.b58encode(_PEER_ID_PREFIX + public_key).decode()


def verify(listing: Mapping[str, object], seller_id: str) -> Provenance:
    """Whether the listing is signed by its seller, unsigned, or signed wrongly."""
    signature = listing.get("signature")
    if signature is None:
        return Provenance.UNSIGNED
    if not isinstance(signature, Mapping) or signature.get("alg") != ALGORITHM:
        return Provenance.INVALID
    try:
        public = base64.b64decode(str(signature.get("key")), validate=True)
        raw = base64.b64decode(str(signature.get("sig")), validate=True)
        if len(public) != 32 or peer_id_of(public) != seller_id:
            return Provenance.INVALID
        Ed25519PublicKey.from_public_bytes(public).verify(raw, signed_bytes(listing))
    except (binascii.Error, ValueError, RecursionError, InvalidSignature):
        return Provenance.INVALID
    return Provenance.VERIFIED


def signed_bytes(listing: Mapping[str, object]) -> bytes:
    """What a signature covers. Raises ValueError for values that DAG-CBOR has no form for."""
    return PREFIX + cbor2.dumps(_canonical({name: value for name, value in listing.items() if name != "signature"}))


def _canonical(value: object) -> object:
    """The same value with map keys in DAG-CBOR's order: shorter first, then by bytes. Floats stay 64 bits wide."""
    if isinstance(value, Mapping):
        pairs = [(str(key).encode(), key, each) for key, each in value.items()]
        return {key: _canonical(each) for _, key, each in sorted(pairs, key=lambda pair: (len(pair[0]), pair[0]))}
    if isinstance(value, list | tuple):
        return [_canonical(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool) and value not in _INTEGERS:
        raise ValueError(f"{value} does not fit DAG-CBOR's 64-bit integers")
    return value
