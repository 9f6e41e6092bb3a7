"""Which public keys from outside may be parsed at all.

A key arrives before its owner has proved anything, with each handshake and each broadcast. py-libp2p 0.8.1: for RSA it
accepts everything that PyCryptodome can import, private keys included, whose numbers are then tested for being prime:
seconds of the event loop's time for a few kilobytes (docs/py-libp2p.md#failures-that-end-the-run). So only bytes of
exactly the forms that Go, Rust and JavaScript write are parsed. Nothing is computed here. A key in another form may be
valid, since Go supports more kinds, so its relay is not to blame."""

from hashlib import sha256

from betar_tui.ipld.protobuf import write_varint

ED25519 = b"\x08\x01\x12\x20"
"""The bytes before the 32 bytes of an Ed25519 key in its protobuf."""
_SECP256K1 = b"\x08\x02\x12\x21"
_RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")
_EXPONENT = b"\x02\x03\x01\x00\x01"
"""65537, the only one in use; with a large exponent one signature takes tens of milliseconds to check."""
_RSA_OVERHEAD = 42
"""Number of bytes of an RSA key's protobuf without its modulus."""
_RSA_MODULUS = range(257, 514)
"""Number of bytes, with the sign's: from the 2,048 bits that Go demands to the 4,096 that the library accepts."""
_LONGEST_INLINE = 42
"""Maximum bytes of a key that is inlined in the peer id; a longer one is hashed."""


def is_sane(key: bytes) -> bool:
    """Whether a serialised public key is of a form that costs next to nothing to parse and to check signatures with."""
    if len(key) == len(ED25519) + 32:
        return key.startswith(ED25519)
    if len(key) == len(_SECP256K1) + 33:
        return key.startswith(_SECP256K1)
    return _is_plain_rsa(key)


def _is_plain_rsa(key: bytes) -> bool:
    modulus = len(key) - _RSA_OVERHEAD
    if modulus not in _RSA_MODULUS:
        return False
    # A SubjectPublicKeyInfo: the length of the modulus determines every other length.
    whole, bits, numbers, number = ((modulus + around).to_bytes(2, "big") for around in (33, 14, 9, 0))
    head = b"\x08\x00\x12" + write_varint(modulus + 37)
    head += (
        b"\x30\x82" + whole + _RSA_ENCRYPTION + b"\x03\x82" + bits + b"\x00\x30\x82" + numbers + b"\x02\x82" + number
    )
    return key.startswith(head) and key.endswith(_EXPONENT) and key[len(head)] < 0x80


def peer_of(key: bytes) -> bytes:
    """The binary id of the peer that a serialised public key belongs to."""
    if len(key) <= _LONGEST_INLINE:
        return b"\x00" + bytes((len(key),)) + key
    return b"\x12\x20" + sha256(key).digest()
