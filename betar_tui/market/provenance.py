"""The authorship of a listing: Ed25519 signatures by the seller's peer key (docs/protocol.md#provenance).

Signed is `PREFIX` and the canonical DAG-CBOR of the listing without its `signature`. A peer id of an Ed25519 key
contains the public key, so a signature proves that the peer in `seller_id` wrote the listing, whichever peer replicated
it. libsodium checks it, and also refuses the few public keys that fit many signatures."""

import base64
import binascii
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import lru_cache

import base58
import cbor2
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from betar_tui.market.marketplace import Provenance

PREFIX = b"betar-listing:v1:"
ALGORITHM = "ed25519"

# An identity multihash of the protobuf PublicKey {Type: Ed25519, Data: 32 bytes}.
_PEER_ID_PREFIX = b"\x00\x24\x08\x01\x12\x20"
_INTEGERS = range(-(1 << 64), 1 << 64)

MAX_OWN_VALUES = 4096
"""Maximum own values that are remembered: they need no check, which takes twice as long as signing."""


class Signer:
    """Signs listings with a peer's key, given as its 32-byte Ed25519 seed."""

    def __init__(self, seed: bytes) -> None:
        self._own_values: OrderedDict[bytes, None] = OrderedDict()
        self._key = SigningKey(seed)
        self._public = bytes(self._key.verify_key)
        self.peer_id = peer_id_of(self._public)

    def sign(self, listing: Mapping[str, object]) -> dict[str, str]:
        """The `signature` of a listing, over all its fields but a signature that it already has."""
        signature = self._key.sign(signed_bytes(listing)).signature
        return {
            "alg": ALGORITHM,
            "key": base64.b64encode(self._public).decode(),
            "sig": base64.b64encode(signature).decode(),
        }

    def remember_own_value(self, value: bytes) -> None:
        """Remember a value that this key has signed."""
        self._own_values[value] = None
        if len(self._own_values) > MAX_OWN_VALUES:
            self._own_values.popitem(last=False)

    def is_own_value(self, value: bytes) -> bool:
        """Whether it is one of the last own values, which need no check; True once for each. Any thread may call."""
        try:
            del self._own_values[value]
        except KeyError:
            return False
        return True


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
        if len(public) != 32:
            return Provenance.INVALID
        peer_id, key = _key_of(public)
        if peer_id != seller_id:
            return Provenance.INVALID
        key.verify(signed_bytes(listing), raw)
    except (binascii.Error, ValueError, RecursionError, CryptoError):
        return Provenance.INVALID
    return Provenance.VERIFIED


@lru_cache(1024)
def _key_of(public_key: bytes) -> tuple[str, VerifyKey]:
    """The peer id and the key of 32 bytes; cached, because a seller has many listings and renews them."""
    return peer_id_of(public_key), VerifyKey(public_key)


def signed_bytes(listing: Mapping[str, object]) -> bytes:
    """The bytes that a signature covers. Raises ValueError for values that DAG-CBOR has no form for."""
    signed = dict(listing)
    signed.pop("signature", None)
    return PREFIX + cbor2.dumps(_canonical(signed))


def _canonical(value: object) -> object:
    """The same value with map keys in DAG-CBOR's order: shorter first, then by bytes. Floats stay 64 bits wide."""
    kind = type(value)
    if kind is str or kind is float or value is None:  # nearly all are of these types, which JSON gives
        return value
    if isinstance(value, dict | Mapping):
        return {key: each if type(each := value[key]) is str else _canonical(each) for key in _in_order(value)}
    if isinstance(value, list | tuple):
        return [each if type(each) is str else _canonical(each) for each in value]
    if isinstance(value, str | float):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value not in _INTEGERS:
        raise ValueError(f"{value} does not fit DAG-CBOR's 64-bit integers")
    return value


def _in_order(names: Iterable[str]) -> list[str]:
    """Names in DAG-CBOR's order. Raises ValueError for names that are not texts.

    UTF-8 sorts by its bytes as by its characters, so only the lengths have to be looked up."""
    try:
        ordered = sorted(names)
        ordered.sort(key=len if "".join(ordered).isascii() else _size)
    except TypeError as error:
        raise ValueError(f"the names of a map must be texts: {error}") from error
    return ordered


def _size(name: str) -> int:
    return len(name.encode())
