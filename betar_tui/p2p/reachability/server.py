"""AutoNAT's server: dials a peer back, so that it learns whether it can be dialled.

The rules are those of go-libp2p: only the IP address that the request comes from is dialled, whatever the request
names, and only a public one, so that no request can make this peer knock at other doors or into private networks. The
dial is a TCP connection and a handshake under a key of its own, made anew at each start: under this peer's own key it
would look like a second connection to the asker."""

import logging
from collections import deque
from collections.abc import Callable

import trio
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.peer.id import ID
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr

from betar_tui.errors import DecodeError
from betar_tui.multiaddrs import is_public, parse_ip
from betar_tui.p2p.adaptations.noise import CheckedNoise
from betar_tui.p2p.adaptations.transport import Transport
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.reachability.messages import (
    BAD_REQUEST,
    DIAL_ERROR,
    DIAL_REFUSED,
    MAX_MESSAGE,
    OK,
    DialResponse,
    decode_request,
    encode_response,
)

log = logging.getLogger(__name__)

MAX_PER_MINUTE, MAX_PER_PEER = 30, 3
"""Maximum requests that are served within a minute: of all peers, and of the peers of one IP address."""
MAX_PORTS = 4
"""Maximum ports that are dialled for one request."""
DIAL_TIMEOUT = 5.0
"""Seconds for one dial."""
REQUEST_TIMEOUT = 10.0
"""Seconds for a request to arrive."""
_MINUTE = 60.0


class Throttle:
    """Counts the requests of the last minute. Pure."""

    def __init__(self) -> None:
        self._served: deque[tuple[float, str]] = deque()

    def admit(self, asker: str, now: float) -> bool:
        """Whether a request from an IP address may be served now; it is counted then."""
        while self._served and self._served[0][0] <= now - _MINUTE:
            self._served.popleft()
        same = sum(1 for _, each in self._served if each == asker)
        if len(self._served) >= MAX_PER_MINUTE or same >= MAX_PER_PEER:
            return False
        self._served.append((now, asker))
        return True


class DialBackServer:
    """Serves AutoNAT. `serves(ip)` is whether an asker at that address is dialled."""

    def __init__(self, serves: Callable[[str], bool] = is_public) -> None:
        self.serves = serves
        self._throttle = Throttle()
        noise = CheckedNoise(create_new_key_pair(), noise_privkey=create_noise_key_pair().private_key)
        self._upgrader = TransportUpgrader({NOISE: noise}, {})
        self._transport = Transport()
        self.answered: dict[int, int] = {}
        """Number of answers by status."""

    async def handle(self, stream: INetStream) -> None:
        """Answer one request. Raises DecodeError and the stream's errors."""
        with trio.fail_after(REQUEST_TIMEOUT):
            raw = await FrameReader(stream, MAX_MESSAGE).next()
        if raw is None:
            return
        response = await self._respond(raw, stream)
        self.answered[response.status] = self.answered.get(response.status, 0) + 1
        await stream.write(frame(encode_response(response)))
        await stream.close()

    async def _respond(self, raw: bytes, stream: INetStream) -> DialResponse:
        try:
            request = decode_request(raw)
        except DecodeError as error:
            return DialResponse(BAD_REQUEST, str(error))
        asker = stream.muxed_conn.peer_id
        if request.peer and request.peer != asker.to_bytes():
            return DialResponse(BAD_REQUEST, "the request names another peer")
        remote = stream.get_remote_address()
        ip = parse_ip(remote[0]) if remote else None
        if ip is None or not self.serves(str(ip)):
            return DialResponse(DIAL_REFUSED, "only public addresses are dialled")
        ports = ports_of(request.addrs)[:MAX_PORTS]
        if not ports:
            return DialResponse(DIAL_REFUSED, "no address that this peer can dial")
        if not self._throttle.admit(str(ip), trio.current_time()):
            return DialResponse(DIAL_REFUSED, "too many requests")
        for port in ports:
            address = f"/ip{ip.version}/{ip}/tcp/{port}"
            if await self._reaches(address, asker):
                return DialResponse(OK, addr=address)
        return DialResponse(DIAL_ERROR, "no dial succeeded")

    async def _reaches(self, address: str, peer: ID) -> bool:
        with trio.move_on_after(DIAL_TIMEOUT):
            try:
                raw = await self._transport.dial(Multiaddr(address))
            except Exception as error:
                log.debug("AutoNAT: dialling %s: %r", address, error)
                return False
            try:
                await self._upgrader.upgrade_security(raw, True, peer)
                return True
            except Exception as error:
                log.debug("AutoNAT: the handshake at %s: %r", address, error)
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(1):
                    await raw.close()
        return False


def ports_of(addrs: tuple[str, ...]) -> list[int]:
    """The TCP ports of multiaddrs, each once, in their order."""
    found: dict[int, None] = {}
    for address in addrs:
        parts = address.split("/")
        if len(parts) >= 5 and parts[3] == "tcp" and parts[4].isdigit() and 0 < int(parts[4]) < 65_536:
            found[int(parts[4])] = None
    return list(found)
