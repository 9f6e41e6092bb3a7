"""Nothing a peer sends may end more than its own stream.

Two guards, used by every other file of the room. `GuardedManager` runs the library's services; `guarded` wraps a
stream handler. Both let cancellation through and turn any other exception into a log line and a report. Only what a peer
itself did wrong is penalized to it: a defect or a broken disk of ours must not put honest peers out.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio
from google.protobuf.message import DecodeError as ProtobufError
from libp2p.abc import INetStream
from libp2p.io.exceptions import IOException
from libp2p.network.connection.exceptions import RawConnError
from libp2p.network.exceptions import SwarmException
from libp2p.network.stream.exceptions import StreamError
from libp2p.stream_muxer.exceptions import MuxedStreamError

from betar_tui.errors import DecodeError, NetworkError

log = logging.getLogger(__name__)

StreamHandler = Callable[[INetStream], Awaitable[None]]
Penalize = Callable[[str, str], None]
Report = Callable[[str, BaseException], None]

# A connection or stream that ended under our hands: nobody is to blame.
ENDED = (
    NetworkError,
    StreamError,
    MuxedStreamError,
    SwarmException,
    RawConnError,
    IOException,
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.EndOfChannel,
    trio.TooSlowError,
)

# Bytes that are not what they should be: their sender is to blame.
NONSENSE = (DecodeError, ProtobufError)

RESTART_PAUSE = 1.0
MAX_TEXT = 300
"""Characters of a fault's text."""


def has_ended(error: BaseException) -> bool:
    """Whether `error` (or every part of a group of errors) only says that a connection or stream is over."""
    return _is_only(error, ENDED)


def is_nonsense(error: BaseException) -> bool:
    """Whether `error` (or a part of a group, beside ends of streams) says that what a peer sent cannot be decoded."""
    return not has_ended(error) and _is_only(error, ENDED + NONSENSE)


def _is_only(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_only(part, kinds) for part in error.exceptions)
    return isinstance(error, kinds)


def log_failure(what: str, error: BaseException) -> None:
    """The plainest `Report`: something of ours failed, which ends nothing."""
    log.warning("%s failed", what, exc_info=error)


def shortened(text: str) -> str:
    """A text that may quote what a peer sent, megabytes of it perhaps, for the log and for whoever watches."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def guarded(handler: StreamHandler, penalize: Penalize, report: Report = log_failure) -> StreamHandler:
    """`handler` with its exceptions contained and the stream reset. What the peer sent wrongly is penalized to it, which
    before a protocol is agreed on is whatever the library trips over; anything else is ours, and reported.

    py-libp2p 0.8.1: any stream handler that raises ends the whole `trio.run`.
    """

    async def run(stream: INetStream) -> None:
        try:
            await handler(stream)
        except Exception as error:
            if has_ended(error):
                log.debug("stream ended: %r", error)
            elif (protocol := stream.get_protocol()) is None or is_nonsense(error):
                peer = str(stream.muxed_conn.peer_id)
                what = shortened(f"a stream of {protocol or 'no protocol yet'} failed: {error!r}")
                log.info("%s: %s", peer, what)
                penalize(peer, what)
            else:
                report(f"streams of {protocol}", error)
        else:
            return
        await quiet_reset(stream)

    return run


async def quiet_reset(stream: INetStream) -> None:
    """Reset a stream that may be gone already, without waiting on a full pipe for long."""
    with trio.move_on_after(1):
        try:
            await stream.reset()
        except Exception as error:
            log.debug("reset of a stream that has ended: %r", error)
