"""Nothing a peer sends may end more than its own stream.

`guarded` wraps a stream handler, as `adaptations.services` does the library's services. It lets cancellation through
and turns any other exception into a log line and a report. A peer is penalized only for its own mistakes: a defect or a
broken disk here must not ban honest peers."""

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

from betar_tui.errors import DecodeError, StreamEndedError

log = logging.getLogger(__name__)

StreamHandler = Callable[[INetStream], Awaitable[None]]
Penalize = Callable[[str, str], None]
Report = Callable[[str, BaseException], None]

# A connection or stream that ended while it was used: no peer is to blame.
ENDED = (
    StreamEndedError,
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

# Bytes that cannot be decoded: their sender is to blame.
NONSENSE = (DecodeError, ProtobufError)

MAX_TEXT = 300
"""Maximum characters of a misbehaviour's text."""


def has_ended(error: BaseException) -> bool:
    """Whether `error` (or every part of a group of errors) only says that a connection or stream is over."""
    return _is_only(error, ENDED)


def is_nonsense(error: BaseException) -> bool:
    """Whether `error` means that bytes of the peer cannot be decoded; a group may contain ends of streams as well."""
    return not has_ended(error) and _is_only(error, ENDED + NONSENSE)


def _is_only(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_only(part, kinds) for part in error.exceptions)
    return isinstance(error, kinds)


def only(group: ExceptionGroup[Exception]) -> Exception:
    """The one error of a group, or the group if there are several. What `except*` catches is always a group."""
    return group.exceptions[0] if len(group.exceptions) == 1 else group


def log_failure(task: str, error: BaseException) -> None:
    """A `Report` that only logs."""
    log.warning("%s failed", task, exc_info=error)


def shortened(text: str) -> str:
    """A text that may quote megabytes from a peer, cut for the log and the screen."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def guarded(handler: StreamHandler, penalize: Penalize, report: Report = log_failure) -> StreamHandler:
    """`handler` with its exceptions contained and the stream reset.

    The peer is penalized for bytes that cannot be decoded, and for any exception before a protocol is agreed on. All
    other exceptions are defects here, and reported.

    py-libp2p 0.8.1: a stream handler that raises ends the whole `trio.run`
    (docs/py-libp2p.md#failures-that-end-the-run)."""

    async def run(stream: INetStream) -> None:
        try:
            await handler(stream)
        except* Exception as group:  # beside it there may be the cancellation of a handler with several tasks
            error = only(group)
            if has_ended(error):
                log.debug("stream ended: %r", error)
            elif (protocol := stream.get_protocol()) is None or is_nonsense(error):
                peer = str(stream.muxed_conn.peer_id)
                reason = shortened(f"a stream of {protocol or 'no protocol yet'} failed: {error!r}")
                log.info("%s: %s", peer, reason)
                penalize(peer, reason)
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
