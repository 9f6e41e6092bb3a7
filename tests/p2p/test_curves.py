"""What stands for coincurve and fastecdsa answers as they did."""

from __future__ import annotations

import hashlib
import importlib
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from libp2p.crypto import ecc, key_exchange, secp256k1, serialization
from libp2p.crypto.pb import crypto_pb2

from betar_tui.p2p.adaptations.curves import (
    P256,
    PEMEncoder,
    PrivateKey,
    PublicKey,
    SEC1Encoder,
    export_key,
    get_public_key,
    int_bytelen,
)
from betar_tui.p2p.adaptations.libraries import (
    PORT_MAPPING,
    STAND_INS,
    CarriedLibrary,
    MissingPackage,
    NoPortMapping,
)
from tests.p2p import curve_vectors as vectors

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
NOT_A_SIGNATURE, REFUSED = "ValueError", "ValueError"
MESSAGE = b"libp2p"
SIGNER = PrivateKey(hashlib.sha256(b"a").digest())


def answer(question: Callable[[], str]) -> str:
    """An answer, or that there is none."""
    try:
        return question()
    except ValueError:
        return REFUSED


@pytest.mark.parametrize("secret", vectors.SECP256K1)
def test_a_secret_gives_the_same_key_and_the_same_signatures_as_with_coincurve(secret: str) -> None:
    public, signatures = vectors.SECP256K1[secret]
    key = PrivateKey(bytes.fromhex(secret))
    assert (key.secret.hex(), key.public_key.format().hex()) == (secret, public)
    assert PublicKey.from_secret(key.secret).format() == key.public_key.format()
    assert tuple(key.sign(message).hex() for message in vectors.MESSAGES) == signatures
    for message, signature in zip(vectors.MESSAGES, signatures, strict=True):
        assert PublicKey(bytes.fromhex(public)).verify(bytes.fromhex(signature), message)


@pytest.mark.parametrize("case", vectors.SIGNATURES)
def test_signatures_are_refused_that_coincurve_refused(case: str) -> None:
    signature, found = vectors.SIGNATURES[case]
    # coincurve raises for what is not a signature, and the library's other keys do not.
    assert SIGNER.public_key.verify(bytes.fromhex(signature), MESSAGE) is (False if found == NOT_A_SIGNATURE else found)


@pytest.mark.parametrize("case", vectors.POINTS)
def test_points_are_read_as_coincurve_read_them(case: str) -> None:
    data, found = vectors.POINTS[case]
    assert answer(lambda: PublicKey(bytes.fromhex(data)).format().hex()) == found


@pytest.mark.parametrize("case", vectors.SECRETS)
def test_secrets_are_read_as_coincurve_read_them(case: str) -> None:
    secret, found = vectors.SECRETS[case]
    if len(secret) > 64:
        found = REFUSED  # coincurve kept 33 bytes, of which it then used the first 32

    def kept() -> str:
        return PrivateKey(bytes.fromhex(secret)).secret.hex()

    assert answer(kept) == found


@pytest.mark.parametrize("number", vectors.P256)
def test_a_number_gives_the_same_point_as_with_fastecdsa(number: int) -> None:
    plain, compressed, pem = vectors.P256[number]
    point = get_public_key(number, P256)
    assert SEC1Encoder.encode_public_key(point, compressed=False).hex() == plain
    assert SEC1Encoder.encode_public_key(point).hex() == compressed
    assert hashlib.sha256(export_key(number, P256, encoder=PEMEncoder).encode()).hexdigest() == pem


@pytest.mark.parametrize("number, point, product", vectors.EXCHANGES)
def test_an_exchange_gives_the_same_secret_as_with_fastecdsa(number: int, point: str, product: int) -> None:
    assert (SEC1Encoder.decode_public_key(bytes.fromhex(point), P256) * number).x == product


@pytest.mark.parametrize("case", vectors.P256_POINTS)
def test_points_are_read_as_fastecdsa_read_them(case: str) -> None:
    data, found = vectors.P256_POINTS[case]

    def read() -> str:
        return SEC1Encoder.encode_public_key(SEC1Encoder.decode_public_key(bytes.fromhex(data), P256), False).hex()

    assert answer(read) == found


@given(st.integers(1, ORDER - 1), st.binary(max_size=100), st.binary(max_size=100))
def test_a_signature_is_for_one_message_by_one_key(number: int, message: bytes, other: bytes) -> None:
    key = PrivateKey(number.to_bytes(32, "big"))
    signature = key.sign(message)
    public = PublicKey(key.public_key.format(compressed=False))
    assert public.verify(signature, message)
    assert public.verify(signature, other) is (message == other)
    assert SIGNER.public_key.verify(signature, message) is (SIGNER.secret == key.secret)
    assert signature == key.sign(message)


@given(st.binary(max_size=100))
@example(b"\x30\x06\x02\x01\x01\x02\x01\x01")
def test_anything_may_be_called_a_signature_or_a_point(junk: bytes) -> None:
    assert SIGNER.public_key.verify(junk, MESSAGE) is False
    assert answer(lambda: PublicKey(junk).format().hex()) in (REFUSED, junk.hex())


@given(st.integers(0, 1 << 70))
def test_a_number_has_as_many_bytes_as_it_needs(number: int) -> None:
    length = int_bytelen(number)
    assert number < 1 << (8 * length)
    assert not length or number >= 1 << (8 * (length - 1))


# In the library


def test_the_library_signs_and_checks_with_them() -> None:
    pair = secp256k1.create_new_key_pair()
    assert isinstance(pair.private_key, secp256k1.Secp256k1PrivateKey)
    assert isinstance(pair.private_key.impl, PrivateKey)
    again = serialization.deserialize_private_key(pair.private_key.serialize())
    signature = again.sign(MESSAGE)
    read = serialization.deserialize_public_key(pair.public_key.serialize())
    assert read.verify(MESSAGE, signature)
    assert not read.verify(MESSAGE + b"!", signature)
    assert read.get_type().value == crypto_pb2.KeyType.Secp256k1


def test_the_library_exchanges_keys_with_them() -> None:
    (one, exchange_one), (two, exchange_two) = (key_exchange.create_ephemeral_key_pair("P-256") for _ in range(2))
    assert exchange_one(two.to_bytes()) == exchange_two(one.to_bytes())
    private = ecc.ECCPrivateKey.new("P-256")
    assert private.to_bytes().startswith(b"-----BEGIN EC PRIVATE KEY-----\n")
    assert ecc.ECCPublicKey.from_bytes(private.get_public_key().to_bytes(), "P-256") is not None


def test_every_stand_in_is_imported_from_here_even_where_the_package_is_installed() -> None:
    for name, attributes in STAND_INS.items():
        module = importlib.import_module(name)
        for attribute in attributes:
            assert getattr(module, attribute).__module__ == "betar_tui.p2p.adaptations.curves", name


def test_without_miniupnpc_a_router_is_missed_only_when_it_is_used() -> None:
    spec = NoPortMapping().find_spec(PORT_MAPPING)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    NoPortMapping().exec_module(module)
    with pytest.raises(
        MissingPackage, match="otherwise pip install miniupnpc, with the pip that is where the program is"
    ):
        module.UPnP()


PROGRAM = """
import sys
from importlib.metadata import version
from betar_tui.p2p.adaptations.libraries import CarriedLibrary
sys.meta_path.insert(0, CarriedLibrary(sys.argv[1]))
import libp2p
print(libp2p.HERE, version("libp2p"))
"""


def test_a_carried_library_comes_before_an_installed_one(tmp_path) -> None:
    (tmp_path / "libp2p").mkdir()
    (tmp_path / "libp2p" / "__init__.py").write_text("HERE = 'carried'")
    (tmp_path / "libp2p-0.8.1.dist-info").mkdir()
    (tmp_path / "libp2p-0.8.1.dist-info" / "METADATA").write_text("Name: libp2p\nVersion: 0.8.1\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], check=True, capture_output=True, text=True
    )  # fmt: skip
    assert done.stdout == "carried 0.8.1\n"


def test_a_folder_without_the_library_is_passed_over(tmp_path) -> None:
    assert CarriedLibrary(tmp_path).find_spec("libp2p") is None
