"""The authorship of a listing: Ed25519 signatures by the seller's peer key (docs/protocol.md#provenance).

Signed is `PREFIX` and the canonical DAG-CBOR of the listing without its `signature`. A peer id of an Ed25519 key
contains the public key, so a signature proves that the peer in `seller_id` wrote the listing, whichever peer replicated
it. The id of a listing belongs to the peer whose name space it is in: there nobody else's signature counts.

libsodium checks signatures, and also refuses the few public keys that fit many. All that a signature does not cover has
one form only, so that nobody can make another value of a signed listing by changing its signature."""

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
from betar_tui.market.names import ED25519_PREFIX, name_space

PREFIX = b"betar-listing:v1:"
ALGORITHM = "ed25519"

_PARTS = {"alg", "key", "sig"}
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


@lru_cache(1024)
def peer_id_of(public_key: bytes) -> str:
    """The base58 peer id of a 32-byte Ed25519 public key."""
    return base58.b58encode(ED25519_PREFIX + public_key).decode()


def verify(listing: Mapping[str, object], listing_id: str, seller_id: str) -> Provenance:
    """What the signature of a listing proves.

    It is verified if the seller signed it and the id is in the seller's name space; invalid if the signature is wrong, or
    is not that of the peer whose name space the id is in. A right one of an id that is in nobody's name space proves
    nothing about the id: the listing counts as unsigned."""
    signature = listing.get("signature")
    if signature is None:
        return Provenance.UNSIGNED
    owner = name_space(listing_id)
    if owner and owner != seller_id:
        return Provenance.INVALID
    raw = signature_bytes(signature, seller_id)
    if raw is None:
        return Provenance.INVALID
    public, sig = raw
    try:
        _key_of(public).verify(signed_bytes(listing), sig)
    except (ValueError, RecursionError, CryptoError):
        return Provenance.INVALID
    return Provenance.VERIFIED if owner else Provenance.UNSIGNED


def signature_bytes(signature: object, seller_id: str) -> tuple[bytes, bytes] | None:
    """The seller's key and the 64 bytes that are said to be its signature; None where that cannot be so."""
    if not isinstance(signature, Mapping) or signature.keys() != _PARTS or signature["alg"] != ALGORITHM:
        return None
    public, sig = _from_base64(signature["key"], 32), _from_base64(signature["sig"], 64)
    if public is None or sig is None or peer_id_of(public) != seller_id:
        return None
    return public, sig


def mark_of(signature: object) -> int | None:
    """The first eight bytes of what is said to be a signature, as a signed integer; None where there are none."""
    raw = _from_base64(signature.get("sig"), 64) if isinstance(signature, Mapping) else None
    return int.from_bytes(raw[:8], "big", signed=True) if raw is not None else None


def _from_base64(text: object, size: int) -> bytes | None:
    """`size` bytes from base64, None for anything else. Base64 has several texts for some bytes; one is accepted."""
    if not isinstance(text, str):
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == size and base64.b64encode(raw).decode() == text else None


@lru_cache(1024)
def _key_of(public_key: bytes) -> VerifyKey:
    """The key of 32 bytes; cached, because a seller has many listings and renews them."""
    return VerifyKey(public_key)


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
