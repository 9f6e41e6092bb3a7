"""The two elliptic curves of py-libp2p, by `cryptography`: what the library uses of `coincurve` and `fastecdsa`.

py-libp2p 0.8.1: it takes secp256k1 from coincurve and P-256 from fastecdsa, pinned to releases that are not built for
every machine, so that installing it needs a C compiler and GMP. `cryptography` has both curves, is built everywhere, and
the library needs it anyway. `adaptations.libraries` puts this module in their place
(docs/py-libp2p.md#what-is-not-installed).

Names, arguments and results are those of the two packages, as far as the library uses them: keys of secp256k1 sign and
check messages, and P-256 is for the key exchange of secio, which is not offered here. Where a signature is not even a
signature, coincurve raises ValueError, and here it is False, as with keys of the other kinds."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

_SECP256K1 = ec.SECP256K1()
_P256 = ec.SECP256R1()
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Number of points of secp256k1."""
_CHECKED = ec.ECDSA(SHA256())
_SIGNED = ec.ECDSA(SHA256(), deterministic_signing=True)
_LENGTH = 32
"""Number of bytes of a secret, and of a coordinate."""
_LONGEST_SIGNATURE = 72
"""Maximum bytes of a signature of secp256k1 in DER."""
_HYBRID = (6, 7)
"""First bytes of a point that is written with both coordinates and, needlessly, with the parity of the second."""


class PublicKey:
    """A public key of secp256k1, as `coincurve.PublicKey`."""

    def __init__(self, data: bytes) -> None:
        """Takes a point: 33 bytes, or 65. Raises ValueError if it is none of the curve."""
        self._key = _point(_SECP256K1, _without_parity(data))

    @classmethod
    def from_secret(cls, secret: bytes) -> PublicKey:
        """The key of a secret. Raises ValueError if it is none."""
        return PrivateKey(secret).public_key

    def format(self, compressed: bool = True) -> bytes:
        """The point: 33 bytes, or 65 that are not compressed."""
        return _encoded(self._key, compressed)

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature`, in DER, is this key's for the SHA-256 of `message`.

        Of the two signatures that the numbers allow only that with the lower `s` is one, as with coincurve."""
        if len(signature) > _LONGEST_SIGNATURE:
            return False
        try:
            _, s = decode_dss_signature(signature)
            if s > _ORDER // 2:
                return False
            self._key.verify(signature, message, _CHECKED)
        except (InvalidSignature, ValueError):
            return False
        return True


class PrivateKey:
    """A private key of secp256k1, as `coincurve.PrivateKey`. `secret` is its number, 32 bytes."""

    def __init__(self, secret: bytes | None = None) -> None:
        """A new key, or that of a secret of at most 32 bytes. Raises ValueError for a number that is out of range."""
        if secret is None:
            self._key = ec.generate_private_key(_SECP256K1)
        else:
            number = int.from_bytes(secret, "big")
            if len(secret) > _LENGTH or not 0 < number < _ORDER:
                raise ValueError("the secret is not a number between 0 and the order of secp256k1")
            self._key = ec.derive_private_key(number, _SECP256K1)
        self.secret = self._key.private_numbers().private_value.to_bytes(_LENGTH, "big")
        self.public_key = PublicKey(_encoded(self._key.public_key(), compressed=True))

    def sign(self, message: bytes) -> bytes:
        """The signature of the SHA-256 of `message`, in DER: the same each time (RFC 6979), with the lower `s`."""
        r, s = decode_dss_signature(self._key.sign(message, _SIGNED))
        return encode_dss_signature(r, min(s, _ORDER - s))


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve by its name, as `fastecdsa.curve.Curve`."""

    name: str


P256 = Curve("P256")
"""The only curve that the library uses of fastecdsa."""


class InvalidSEC1PublicKey(ValueError):
    """Bytes that are not a point."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point of P-256, as `fastecdsa.point.Point`. Of a product, which has no other use here, only `x` is known."""

    x: int
    y: int | None
    curve: Curve = P256

    def __mul__(self, scalar: int) -> Point:
        """The point that both sides of a key exchange compute. Raises ValueError for a number that is out of range."""
        private = ec.derive_private_key(scalar, _P256)
        return Point(int.from_bytes(private.exchange(ec.ECDH(), self.key()), "big"), None)

    def key(self) -> ec.EllipticCurvePublicKey:
        """The same for `cryptography`. Raises ValueError if only half of it is known, or it is not on the curve."""
        if self.y is None:
            raise ValueError("the second coordinate of a product is not known")
        return ec.EllipticCurvePublicNumbers(self.x, self.y, _P256).public_key()


class SEC1Encoder:
    """Points as bytes, as `fastecdsa.encoding.sec1.SEC1Encoder`."""

    @staticmethod
    def encode_public_key(point: Point, compressed: bool = True) -> bytes:
        """The point: 33 bytes, or 65 that are not compressed."""
        return _encoded(point.key(), compressed)

    @staticmethod
    def decode_public_key(key: bytes, curve: Curve) -> Point:
        """The point that 33 or 65 bytes are. Raises InvalidSEC1PublicKey, a ValueError, if they are none of the curve."""
        try:
            numbers = _point(_P256, key).public_numbers()
        except ValueError as error:
            raise InvalidSEC1PublicKey(str(error)) from error
        return Point(numbers.x, numbers.y, curve)


class PEMEncoder:
    """Names the only form in which the library exports a key: `fastecdsa.keys.PEMEncoder`."""


def gen_private_key(curve: Curve) -> int:
    """The number of a new private key."""
    return ec.generate_private_key(_P256).private_numbers().private_value


def get_public_key(d: int, curve: Curve) -> Point:
    """The public key of a private one. Raises ValueError for a number that is out of range."""
    numbers = ec.derive_private_key(d, _P256).public_key().public_numbers()
    return Point(numbers.x, numbers.y, curve)


def export_key(key: int, curve: Curve, encoder: type[PEMEncoder] = PEMEncoder) -> str:
    """A private key in PEM (RFC 5915). Raises ValueError for a number that is out of range."""
    private = ec.derive_private_key(key, _P256)
    return private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode().rstrip("\n")


def int_bytelen(x: int) -> int:
    """Number of bytes of a number; none for 0, as `fastecdsa.encoding.util.int_bytelen`."""
    return (x.bit_length() + 7) // 8


def _point(curve: ec.EllipticCurve, data: bytes) -> ec.EllipticCurvePublicKey:
    """Raises ValueError if the bytes are not a point of the curve."""
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, data)


def _encoded(key: ec.EllipticCurvePublicKey, compressed: bool) -> bytes:
    form = PublicFormat.CompressedPoint if compressed else PublicFormat.UncompressedPoint
    return key.public_bytes(Encoding.X962, form)


def _without_parity(data: bytes) -> bytes:
    """A point that is not written in the hybrid form. Raises ValueError if its parity is wrong."""
    if len(data) != 2 * _LENGTH + 1 or data[0] not in _HYBRID:
        return data
    if data[0] & 1 != data[-1] & 1:
        raise ValueError("the parity of the point is wrong")
    return b"\x04" + data[1:]
