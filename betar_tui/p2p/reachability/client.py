"""AutoNAT's client: asks a few peers now and then whether they can dial this one."""

import logging
import math
import random
from collections.abc import Awaitable, Callable, Collection, Iterable

import trio

from betar_tui.concurrency import Wakeup
from betar_tui.errors import DecodeError, NetworkError
from betar_tui.p2p.addresses import peer_id
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.guard import Penalize, shortened
from betar_tui.p2p.reachability.messages import (
    DIAL_ERROR,
    MAX_ADDRS,
    MAX_MESSAGE,
    OK,
    PROTOCOL,
    DialRequest,
    decode_response,
    encode_request,
)
from betar_tui.p2p.reachability.observed import ip_of, network_of
from betar_tui.p2p.reachability.server import ports_of
from betar_tui.p2p.reachability.verdict import ANSWER_TTL, ENOUGH, Answers
from betar_tui.p2p.types import Stream

log = logging.getLogger(__name__)

ASKED_PER_ROUND = 3
"""Maximum peers that are asked at the same time."""
FIRST_PAUSE = 2.0
"""Seconds from the first peer that can be asked to the first round."""
ROUND_PAUSE = 10.0
"""Minimum seconds between two rounds: what others see as this peer's address may change with every peer that lies."""
RETRY_PAUSE = 60.0
"""Seconds between two rounds while there are fewer than `ENOUGH` answers."""
REFRESH_PAUSE = 900.0
"""Seconds between two rounds once there are."""
ANSWER_TIMEOUT = 25.0
"""Seconds for an answer: a server may dial several addresses, for several seconds each."""


class AutoNatClient:
    """Asks peers to dial this one, and keeps their `answers`.

    `servers()` are the connected peers that can be asked, each with its IP address; `candidates()` the public multiaddrs,
    without /p2p, where this peer may be reachable, and `believed()` the IP addresses that are believed to be its own.
    `changed` is called after each answer."""

    def __init__(
        self,
        own: str,
        open_stream: Callable[[str, str], Awaitable[Stream]],
        servers: Callable[[], Iterable[tuple[str, str]]],
        candidates: Callable[[], tuple[str, ...]],
        believed: Callable[[], Collection[str]],
        changed: Callable[[], None],
        penalize: Penalize,
    ) -> None:
        self._own = peer_id(own).to_bytes()
        self._open_stream = open_stream
        self._servers = servers
        self._candidates = candidates
        self._changed = changed
        self._penalize = penalize
        self._wakeup = Wakeup()
        self._tested: frozenset[str] = frozenset()
        self._asked: dict[str, float] = {}  # by network, when a server in it was asked last
        self.answers = Answers(believed)

    def moved(self) -> None:
        """This machine's addresses have changed: the answers so far say nothing about the new ones."""
        self.answers.clear()
        self._asked.clear()
        self._wakeup.set()

    def wake(self) -> None:
        """There may be a peer that was not asked yet, or other candidates."""
        few = self.answers.count(trio.current_time()) < ENOUGH
        if frozenset(self._candidates()) != self._tested or (few and any(map(self._is_fresh, self._servers()))):
            self._wakeup.set()

    def _is_fresh(self, server: tuple[str, str]) -> bool:
        asked = self._asked.get(network_of(server[1]))
        return asked is None or asked + RETRY_PAUSE <= trio.current_time()

    async def run(self) -> None:
        """A service."""
        while True:
            enough = self.answers.count(trio.current_time()) >= ENOUGH
            with trio.move_on_after(REFRESH_PAUSE if enough else RETRY_PAUSE):
                await self._wakeup.wait()
                await trio.sleep(FIRST_PAUSE)
            await self._ask_some()
            await trio.sleep(ROUND_PAUSE)

    async def _ask_some(self) -> None:
        candidates = self._candidates()
        if frozenset(candidates) != self._tested:
            self._tested = frozenset(candidates)
            self._asked.clear()
        if not candidates:
            return
        servers = list(self._servers())
        random.shuffle(servers)
        servers.sort(key=lambda server: self._asked.get(network_of(server[1]), -math.inf))
        now = trio.current_time()
        self._asked = {network: at for network, at in self._asked.items() if at + ANSWER_TTL > now}
        self._asked.update((network_of(ip), now) for _, ip in servers[:ASKED_PER_ROUND])
        async with trio.open_nursery() as nursery:
            for peer, ip in servers[:ASKED_PER_ROUND]:
                nursery.start_soon(self._ask, peer, ip, candidates)

    async def _ask(self, peer: str, ip: str, candidates: tuple[str, ...]) -> None:
        try:
            with trio.fail_after(ANSWER_TIMEOUT):
                response = decode_response(await self._exchange(peer, candidates))
        except DecodeError as error:
            self._penalize(peer, shortened(f"AutoNAT: {error}"))
            return
        except (NetworkError, trio.TooSlowError) as error:
            log.debug("AutoNAT: asking %s: %r", peer, error)
            return
        log.debug("AutoNAT: %s answers %s", peer, response)
        if response.status == OK and ports_of((response.addr,)) and ip_of(response.addr):
            # A server that names another port than those it was given cannot have reached this peer.
            if set(ports_of((response.addr,))) <= set(ports_of(candidates)):
                self.answers.note(ip, response.addr, trio.current_time())
        elif response.status == DIAL_ERROR:
            self.answers.note(ip, "", trio.current_time())
        self._changed()

    async def _exchange(self, peer: str, candidates: tuple[str, ...]) -> bytes:
        stream = await self._open_stream(peer, PROTOCOL)
        try:
            await stream.write(frame(encode_request(DialRequest(self._own, candidates[:MAX_ADDRS]))))
            raw = await FrameReader(stream, MAX_MESSAGE).next()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                await stream.reset()
        if raw is None:
            raise NetworkError(f"{peer} did not answer")
        return raw
