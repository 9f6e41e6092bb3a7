"""Yamux connections that notice when the far end is silent, and end when it sends more than its windows allow.

Theory: TCP alone never shows that a peer froze or that its machine vanished. Something is sent on each yamux connection
every few seconds, a ping if there is nothing else. Whatever was sent: when nothing at all has come back for
`Timing.silence`, the connection is probed, and if that brings nothing either, its socket is closed, which the rest of the
room sees as an ordinary disconnect. A slow line is excused for longer: as long as the far end's system goes on
acknowledging bytes that are still queued here, the probe may just be behind them. When a second connection to the same
peer appears the older ones are probed at once (`liveness.close_dead`), so that a peer that came back after a crash is not
hidden behind its dead predecessor (docs/py-libp2p.md#connections)."""

import logging
import math
import struct
from functools import partial
from typing import Any, NoReturn, cast

import trio
from libp2p.abc import IMuxedConn, INetStream, ISecureConn
from libp2p.peer.id import ID
from libp2p.stream_muxer.yamux.yamux import (
    DEFAULT_WINDOW_SIZE,
    FLAG_SYN,
    TYPE_PING,
    YAMUX_HEADER_FORMAT,
    Yamux,
)
from libp2p.transport.upgrader import TransportUpgrader

from betar_tui.concurrency import FastLock, until_tick
from betar_tui.p2p.adaptations.counting import CountingConnection
from betar_tui.p2p.adaptations.yamux_streams import Buffers, Streams, WindowedBuffer, take_frame
from betar_tui.p2p.guard import Penalize, quiet_reset
from betar_tui.p2p.types import Timing

log = logging.getLogger(__name__)

FIRST_PING = 0.2
"""Seconds from the start of a connection to its first ping, at most."""
CLOSE_SOCKET = 1.0
"""Seconds for a socket to close."""
SLICES = 8
"""Number of parts that a probe waits in: a stall of this process costs one part, not the whole time."""
END_TIMEOUT = 5.0
"""Seconds for a peer to end its side of a stream that it opened, once the handler has returned."""
LATENCY_AGE = 30.0
"""Seconds after which the latency is measured again, even if other traffic makes pings unnecessary."""


class PongCounter:
    """Replaces yamux's one-shot ping event: counts answers and wakes every task that waits for one."""

    def __init__(self) -> None:
        self.count = 0
        self._event = trio.Event()

    def set(self) -> None:
        self.count += 1
        self._event.set()
        self._event = trio.Event()

    async def wait(self) -> None:
        await self._event.wait()


class LiveYamux(Yamux):
    """A yamux connection that notices a silent peer, and ends when its peer sends more than its windows allow.

    py-libp2p 0.8.1: it pings every 30 s, but only to learn the round trip, and ignores a missing answer. Bytes beyond
    the window are kept (docs/py-libp2p.md#connections)."""

    def __init__(self, secured_conn: ISecureConn, peer_id: ID, timing: Timing, penalize: Penalize) -> None:
        self.counted = CountingConnection(secured_conn, partial(take_frame, self))
        super().__init__(cast(ISecureConn, self.counted), peer_id, is_initiator=secured_conn.is_initiator)
        self._timing = timing
        self._silence = min(timing.silence, timing.ping_timeout)
        self._penalize = penalize
        self._pongs = PongCounter()
        self._ping_event = cast(trio.Event, self._pongs)  # the library only calls set() on it
        self.latency: float | None = None  # seconds, of the last answered ping
        self.streams = Streams()
        self.stream_buffers = Buffers(self._admit)
        self.streams_lock = cast(trio.Lock, FastLock())
        self._write_lock = cast(trio.Lock, FastLock())

    async def _write_frame(self, data: bytes) -> None:
        """Write a frame.

        py-libp2p 0.8.1: it takes each one apart for a line of the log, and takes a turn of the event loop after it."""
        async with self._write_lock:
            await self.secured_conn.write(data)

    def _admit(self, stream_id: int, size: int) -> None:
        if size > self.streams[stream_id].recv_window:
            self._end(f"it sent more than the window of stream {stream_id} allows")

    async def _read_data_body(self, length: int) -> bytes:
        # The library also reads a frame for an unknown stream to its end, so a length that no window allows is refused.
        windows = (stream.recv_window for stream in self.streams.values())
        if length > DEFAULT_WINDOW_SIZE and length > max(windows, default=0):
            self._end(f"it announced {length} bytes, more than any window allows")
        self.counted.inside_frame = True
        try:
            return await super()._read_data_body(length)
        finally:
            self.counted.inside_frame = False

    def _end(self, reason: str) -> NoReturn:
        log.info("%s: %s; the connection is closed", self.peer_id, reason)
        self._penalize(str(self.peer_id), f"yamux: {reason}")
        # py-libp2p 0.8.1: this is the error for which it ends the connection wherever it is raised.
        raise trio.TooSlowError

    async def probe(self, timeout: float) -> bool:
        """Ping once. Returns whether the far end gave a sign of life within `timeout` seconds of this process's attention:
        the answer, or any other bytes, except those of the first moment, which may have been waiting here."""
        seen, sent, heard = self._pongs.count, trio.current_time(), math.inf
        try:
            with trio.move_on_after(timeout):
                await self._ping()
            for _ in range(SLICES):
                with trio.move_on_after(timeout / SLICES):
                    while self._pongs.count == seen:
                        await self._pongs.wait()
                if self._pongs.count != seen:
                    self.latency = trio.current_time() - sent
                    return True
                if self.counted.received > heard:
                    return True
                heard = self.counted.received
        except Exception as error:
            log.debug("ping of %s failed: %r", self.peer_id, error)
        return False

    async def _ping(self) -> None:
        self._ping_id += 1
        self._ping_sent_time = trio.current_time()
        await self._write_frame(struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_PING, FLAG_SYN, 0, self._ping_id))

    async def kill(self) -> None:
        """Close the socket under the connection: a GOAWAY can block for ever on a full pipe."""
        with trio.move_on_after(CLOSE_SOCKET):
            try:
                await self.secured_conn.close()
            except Exception as error:
                log.debug("closing the socket to %s: %r", self.peer_id, error)

    async def _measure_rtt_loop(self) -> None:
        """Replaces the library's loop; runs in the connection's own nursery."""
        pause, measured = min(FIRST_PING, self._timing.ping_interval), -math.inf
        while await self._silent_for_long(pause) is False:
            now, pause = trio.current_time(), self._timing.ping_interval
            if self.counted.sent_at > now - pause and measured > now - LATENCY_AGE:
                continue  # what is sent anyhow shows a silence as well as a ping
            measured = now
            try:
                with trio.move_on_after(self._silence):
                    seen = self._pongs.count
                    await self._ping()
                    while self._pongs.count == seen:
                        await self._pongs.wait()
                    self.latency = trio.current_time() - now
            except Exception as error:
                log.debug("ping of %s failed: %r", self.peer_id, error)
        if not self.event_shutting_down.is_set():
            log.info("%s does not answer: its connection is closed", self.peer_id)
            await self.kill()

    async def _silent_for_long(self, pause: float) -> bool | None:
        """Watch for `pause` seconds. Returns True as soon as the far end counts as dead, None when the connection ends."""
        until = trio.current_time() + until_tick(pause, pause / 2)
        while not self.event_shutting_down.is_set():
            now = trio.current_time()
            silent_at = self.counted.waiting_since + self._silence
            if silent_at <= now:
                before = self.counted.acknowledged()
                if not await self.probe(self._timing.probe_timeout) and not self._is_slow(before):
                    return True
                continue
            if now >= until:
                return False
            # What is sent from now on cannot have waited for too long before `now + silence`.
            with trio.move_on_at(min(until, silent_at, now + self._silence)):
                await self.event_shutting_down.wait()
        return None

    def _is_slow(self, before: tuple[int, int] | None) -> bool:
        """Whether a ping may be waiting behind bytes that are queued here and keep arriving at the far end's system."""
        after = self.counted.acknowledged()
        waited = trio.current_time() - self.counted.waiting_since
        if before is None or after is None:  # the system does not tell
            return waited < self._timing.ping_timeout
        return after[1] > 0 and after[0] > before[0] and waited < 2 * self._timing.ping_timeout


class Upgrader(TransportUpgrader):
    """Makes every connection a `LiveYamux`."""

    timing: Timing
    penalize: Penalize

    async def upgrade_connection(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        """Negotiate yamux over a secured connection.

        py-libp2p 0.8.1: the muxer's class is hard-wired where yamux is negotiated, whatever options are given."""
        muxer: Any = self.muxer_multistream
        protocol, _ = await muxer._selector.select(conn, conn.is_initiator, muxer.negotiate_timeout)
        connection = LiveYamux(conn, peer_id, self.timing, self.penalize)
        return cast(IMuxedConn, muxer._annotate_connection(connection, conn, protocol))


def abandon(stream: INetStream) -> None:
    """Drop the unread bytes of an inbound stream, whose handler has returned.

    py-libp2p 0.8.1: they stay with the connection, for a minute after the stream's end or for ever without one."""
    muxed: Any = stream.muxed_conn
    if isinstance(muxed, LiveYamux):
        buffer = muxed.stream_buffers.get(cast(Any, stream).muxed_stream.stream_id)
        if isinstance(buffer, WindowedBuffer):
            buffer.abandon()


async def end(stream: INetStream) -> None:
    """End an inbound stream whose handler has returned: this side at once, the peer's within `END_TIMEOUT`, or by a reset.

    py-libp2p 0.8.1: a stream is kept until both sides have ended it, or for as long as the connection lasts. The reset
    waits, since it may overtake an answer that the peer has not read yet."""
    abandon(stream)
    if is_broken(stream):
        return
    try:
        with trio.move_on_after(END_TIMEOUT):
            if not cast(Any, stream).muxed_stream.send_closed:
                await stream.close()
            await stream.read(1)  # nothing: what arrives is dropped
    except Exception as error:
        log.debug("a finished stream of %s: %r", stream.get_protocol(), error)
    if not is_broken(stream):
        await quiet_reset(stream)


def is_broken(stream: INetStream) -> bool:
    """Whether a stream whose reading side has ended can be written no more.

    py-libp2p 0.8.1: reading a stream that was reset, or whose connection is ending, says that it ended in good order."""
    muxed: Any = cast(Any, stream).muxed_stream
    return bool(muxed.closed or muxed.reset_received or muxed.conn.event_shutting_down.is_set())
