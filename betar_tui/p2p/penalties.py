"""Penalising peers: their misbehaviours are counted, reported as events, and lead to a ban."""

import logging
import time
from collections.abc import Callable

import trio

from betar_tui.concurrency import Wakeup
from betar_tui.p2p.guard import shortened
from betar_tui.p2p.misbehaviour import FOLD, MisbehaviourLedger, MisbehaviourReports
from betar_tui.p2p.types import Misbehaviour, NetworkConfig

log = logging.getLogger(__name__)


class Penalties:
    """Calls `report` with events, and `ban(peer)` for a peer that is banned from now on.

    `ip_of(peer)` is the public address that a connected peer came from, if any. `changed` is set when a ban is imposed or
    lifted."""

    def __init__(
        self,
        config: NetworkConfig,
        report: Callable[[Misbehaviour], None],
        ban: Callable[[str], None],
        ip_of: Callable[[str], str] = lambda peer: "",
    ) -> None:
        self.ledger = MisbehaviourLedger(
            config.misbehaviour_budget, config.misbehaviour_window, config.timing.ban_time, time.time, config.bans
        )
        self.changed = Wakeup()
        self._ip_of = ip_of
        self._reports = MisbehaviourReports(trio.current_time)
        self._folding = Wakeup()
        self._put = report
        self._ban = ban

    def penalize(self, peer: str, reason: str) -> None:
        """See `Network.penalize`."""
        reason = shortened(reason)
        log.debug("misbehaviour of %s: %s", peer, reason)
        self._folding.set()
        if self._reports.note(peer, reason):
            self._report(peer, reason)
        if self.ledger.penalize(peer, self._ip_of(peer)):
            log.warning("%s broke too many rules: it is banned", peer)
            self.changed.set()
            self._ban(peer)

    def unban(self, peer: str) -> None:
        """Let a banned peer in again."""
        self.ledger.unban(peer)
        self.changed.set()

    def _report(self, peer: str, reason: str) -> None:
        log.info("misbehaviour of %s: %s", peer, reason)
        self._put(Misbehaviour(peer, reason))

    async def run(self) -> None:
        """A service: reports the misbehaviours that were folded."""
        while True:
            await self._folding.wait()
            while self._reports.open:
                await trio.sleep(FOLD / 4)
                for peer, reason in self._reports.due():
                    self._report(peer, reason)
