"""The host: its stream handlers are contained, its addresses cached, and its identify replaced by `p2p/identify.py`."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from libp2p.abc import IHost, INetStream
from libp2p.host.basic_host import BasicHost
from libp2p.identity.identify.identify import _mk_identify_protobuf, _remote_address_to_multiaddr
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from betar_tui.p2p.adaptations.noise import CheckedNoise
from betar_tui.p2p.adaptations.transport import Transport
from betar_tui.p2p.adaptations.yamux import Upgrader, abandon, end
from betar_tui.p2p.guard import Penalize, guarded, quiet_reset

ADDRS_KEPT = 5.0
"""Seconds for which the peer's own addresses are cached."""


class PeerHost(BasicHost):
    """The host; see the module."""

    transport: Transport
    upgrader: Upgrader
    noise: CheckedNoise
    confirmed: tuple[str, ...] = ()
    """Multiaddrs beyond those of the interfaces where others can dial this peer."""
    _addrs: list[Multiaddr]
    _addr_texts: tuple[str, ...]
    _addrs_until = 0.0

    def get_addrs(self) -> list[Multiaddr]:
        """Where this peer can be dialled, as it was a moment ago.

        py-libp2p 0.8.1: it calls this for every message that is sent or forwarded, to sign a record that is left out
        here; looking at the machine's interfaces each time would take longer than the message."""
        now = trio.current_time()
        if now >= self._addrs_until:
            suffix = Multiaddr(f"/p2p/{self.get_id()}")
            confirmed = [Multiaddr(each).encapsulate(suffix) for each in self.confirmed]
            self._addrs, self._addrs_until = super().get_addrs() + confirmed, now + ADDRS_KEPT
            self._addr_texts = tuple(map(str, self._addrs))
        return self._addrs

    def addr_texts(self) -> tuple[str, ...]:
        """The same as text; making it takes a tenth of the time of a publish."""
        self.get_addrs()
        return self._addr_texts

    def fresh_addr_texts(self) -> tuple[str, ...]:
        """The same as they are now: the interfaces are looked at."""
        self.forget_addrs()
        return self.addr_texts()

    def forget_addrs(self) -> None:
        """Invalidate the cached addresses."""
        self._addrs_until = 0.0

    def contain(self, penalize: Penalize, max_streams_per_peer: int) -> None:
        """Put the guard around every inbound stream, from protocol negotiation on.

        A stream counts until both sides have ended it."""
        streams: dict[ID, int] = {}
        self.upgrader.penalize = penalize
        handler: Callable[[INetStream], Awaitable[None]] = guarded(self._swarm_stream_handler, penalize)

        async def counted(stream: INetStream) -> None:
            peer = stream.muxed_conn.peer_id
            if streams.get(peer, 0) >= max_streams_per_peer:
                penalize(str(peer), "too many open streams")
                await quiet_reset(stream)
                return
            streams[peer] = streams.get(peer, 0) + 1
            try:
                await handler(stream)
                await end(stream)
            finally:
                streams[peer] -= 1
                if not streams[peer]:
                    del streams[peer]

        async def handled(stream: INetStream) -> None:
            try:
                await counted(stream)
            finally:
                abandon(stream)

        self.get_network().set_stream_handler(handled)

    def _schedule_identify(self, peer_id: ID, *, reason: str) -> None:
        return


def identify_message(host: IHost, stream: INetStream) -> Any:
    """The library's identify message about `host`, for the peer at the other end of `stream`."""
    return _mk_identify_protobuf(host, _remote_address_to_multiaddr(stream.get_remote_address()))
