"""Recovers connections after this machine has moved to another network, or has slept.

Every connection is probed at once, since none of them may work any more, those that are silent are closed, and the peers
that are not connected are dialled without the pauses that their failures have earned meanwhile."""

import logging
from collections.abc import Callable
from functools import partial

import trio

from betar_tui.p2p import addresses
from betar_tui.p2p.adaptations.host import PeerHost
from betar_tui.p2p.dialer import Dialer
from betar_tui.p2p.identify import IdentifyService
from betar_tui.p2p.liveness import close_dead
from betar_tui.p2p.types import Timing
from betar_tui.supervise import Supervisor

log = logging.getLogger(__name__)


class Recovery:
    """See the module. `changed` is called before the other peers are told the addresses."""

    def __init__(
        self,
        host: PeerHost,
        identify: IdentifyService,
        dialer: Dialer,
        timing: Timing,
        supervisor: Supervisor,
        changed: Callable[[], None],
    ) -> None:
        self._host = host
        self._identify = identify
        self._dialer = dialer
        self._timing = timing
        self._supervisor = supervisor
        self._changed = changed

    def moved(self) -> None:
        """The addresses of this machine have changed."""
        self._host.forget_addrs()
        self._changed()
        log.info("the addresses of this machine have changed: %s", ", ".join(self._host.addr_texts()))
        self._supervisor.start_once("recovery after a move", self._recover)
        self.push_identify()

    def woke(self) -> None:
        """This process has not run for a while."""
        log.info("this process has not run for a while: its connections are probed")
        self._host.forget_addrs()
        self._changed()
        self._supervisor.start_once("recovery after a sleep", self._recover)

    def push_identify(self) -> None:
        """Tell the connected peers that this peer's protocols or addresses have changed."""
        for peer in {str(each.muxed_conn.peer_id) for each in self._host.get_network().get_connections()}:
            push = partial(self._identify.push, addresses.peer_id(peer), self._timing.identify_timeout)
            self._supervisor.start_once(f"identify push to {peer}", push)

    async def _recover(self) -> None:
        self._retry()  # the unconnected at once, those whose connection turns out to be dead afterwards
        await close_dead(self._host.get_network().get_connections(), self._timing.probe_timeout)
        self._retry()

    def _retry(self) -> None:
        self._dialer.address_book.retry(trio.current_time())
        self._dialer.wake()
