"""The Noise handshake, which checks the form of the peer's key before the key is parsed, and refuses this peer's own."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

from google.protobuf.message import DecodeError as ProtobufError
from libp2p.abc import IRawConnection, ISecureConn
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.security.exceptions import HandshakeFailure
from libp2p.security.noise.io import NoiseTransportReadWriter
from libp2p.security.noise.patterns import IPattern, PatternXX
from libp2p.security.noise.pb import noise_pb2
from libp2p.security.noise.transport import Transport
from libp2p.security.secure_session import SecureSession
from noise.connection import NoiseConnection

from betar_tui.p2p.adaptations.transport import ReadAhead
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


class Packets(NoiseTransportReadWriter):
    """The packets of a connection whose handshake is over. Those that are here already are read without waiting.

    py-libp2p 0.8.1: a packet is read in two steps, its length and its bytes, through seven calls each."""

    def __init__(self, stream: ReadAhead, connection: IRawConnection, state: NoiseConnection) -> None:
        super().__init__(connection, state)
        self._stream = stream

    async def read_msg(self, prefix_encoded: bool = False) -> bytes:
        """The next packet, decrypted."""
        if self._stream.is_empty:
            await self._stream.fill()
        packet = self._stream.packet()
        return await super().read_msg(prefix_encoded) if packet is None else self.decrypt(packet)


class CheckedNoise(Transport):
    """Noise with that handshake.

    `turn(address)` waits until this peer has time for the handshake of a connection that was accepted.

    The other end of a connection may have this peer's own key: this process has dialled itself, or another process has
    the key. Neither becomes a connection. `duplicate` is called with the remote IP address for another process."""

    duplicate: Callable[[str], None] = staticmethod(lambda address: None)
    turn: Callable[[str], Awaitable[None]] | None = None

    def get_pattern(self) -> IPattern:
        return CheckedXX(self.local_peer, self.libp2p_privkey, self.noise_privkey)

    async def secure_inbound(self, conn: IRawConnection) -> ISecureConn:
        remote = conn.get_remote_address()
        if self.turn is not None and remote:
            await self.turn(remote[0])
        return self._of_another(await super().secure_inbound(conn), conn)

    async def secure_outbound(self, conn: IRawConnection, peer_id: ID) -> ISecureConn:
        return self._of_another(await super().secure_outbound(conn, peer_id), conn)

    def _of_another(self, secured: ISecureConn, raw: IRawConnection) -> ISecureConn:
        # py-libp2p 0.8.1: a connection with this peer's own id is kept like any other.
        if secured.get_remote_peer() != self.local_peer:
            return _with_packets(secured, raw)
        static = secured.get_remote_public_key()
        # The static key is new at each start, and signed with the identity key: nobody else can present it.
        if static is not None and static.to_bytes() != self.noise_privkey.get_public_key().to_bytes():
            remote = raw.get_remote_address()
            self.duplicate(remote[0] if remote else "")
        raise HandshakeFailure("the other end has this peer's own key")


def _with_packets(secured: ISecureConn, raw: IRawConnection) -> ISecureConn:
    stream = raw.stream if isinstance(raw, RawConnection) else None
    if isinstance(secured, SecureSession) and isinstance(stream, ReadAhead):
        secured.conn = Packets(stream, raw, cast(NoiseTransportReadWriter, secured.conn).noise_state)
    return secured
