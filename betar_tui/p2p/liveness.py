"""Facts about connections, and closing those whose far end is silent. How silence is found: `adaptations/yamux.py`."""

import logging
from collections.abc import Iterable

import trio
from libp2p.abc import INetConn

from betar_tui.p2p.adaptations.yamux import LiveYamux

log = logging.getLogger(__name__)


def latency_ms(connection: INetConn) -> float | None:
    """Milliseconds of the connection's last answered ping, or None."""
    latency = getattr(connection.muxed_conn, "latency", None)
    return None if latency is None else float(latency) * 1000


def traffic(connection: INetConn) -> tuple[int, int]:
    """Bytes received and sent over a connection, before encryption."""
    muxed = connection.muxed_conn
    return (muxed.counted.received, muxed.counted.sent) if isinstance(muxed, LiveYamux) else (0, 0)


async def close_connection(connection: INetConn, timeout: float) -> None:
    """Close a connection, or only its socket when that takes longer than `timeout` seconds."""
    with trio.move_on_after(timeout) as scope:
        try:
            await connection.close()
        except Exception as error:
            log.debug("closing a connection: %r", error)
    if scope.cancelled_caught and isinstance(connection.muxed_conn, LiveYamux):
        await connection.muxed_conn.kill()


async def close_dead(connections: Iterable[INetConn], timeout: float) -> int:
    """Probe each connection and close those that do not answer within `timeout` seconds. Returns how many answered."""
    alive = 0

    async def check(muxed: LiveYamux) -> None:
        nonlocal alive
        if await muxed.probe(timeout):
            alive += 1
        else:
            log.info("a connection to %s does not answer: closed", muxed.peer_id)
            await muxed.kill()

    async with trio.open_nursery() as nursery:
        for connection in connections:
            if isinstance(connection.muxed_conn, LiveYamux) and not connection.muxed_conn.is_closed:
                nursery.start_soon(check, connection.muxed_conn)
    return alive
