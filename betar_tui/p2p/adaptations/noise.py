"""The Noise handshake, which checks the form of the peer's key before the key is parsed."""

from contextlib import suppress

from google.protobuf.message import DecodeError as ProtobufError
from libp2p.security.exceptions import HandshakeFailure
from libp2p.security.noise.patterns import IPattern, PatternXX
from libp2p.security.noise.pb import noise_pb2
from libp2p.security.noise.transport import Transport
from noise.connection import NoiseConnection

from betar_tui.p2p.keys import is_sane


class CheckedXX(PatternXX):
    """The XX pattern. A peer whose key may not be parsed is refused before it is.

    py-libp2p 0.8.1: the key is parsed before the signature that proves it, for everyone that opens a TCP connection
    (docs/py-libp2p.md#connections)."""

    def create_noise_state(self, prologue: bytes | None = None) -> NoiseConnection:
        state = super().create_noise_state(prologue)
        read = state.read_message

        def read_message(data: bytes) -> bytes:
            payload = bytes(read(data))
            # Nonsense is left to the library, which reads it the same way and refuses it.
            with suppress(ProtobufError):
                key = noise_pb2.NoiseHandshakePayload.FromString(payload).identity_key
                if key and not is_sane(key):
                    raise HandshakeFailure(f"an identity key of {len(key)} bytes in a form that is not accepted here")
            return payload

        state.read_message = read_message
        return state


class CheckedNoise(Transport):
    """Noise with that handshake."""

    def get_pattern(self) -> IPattern:
        return CheckedXX(self.local_peer, self.libp2p_privkey, self.noise_privkey)
