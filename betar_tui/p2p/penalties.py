"""Penalising peers: counts a misbehaviour, reports it, and has the peer's connections closed when it is banned."""

import logging
from collections.abc import Callable

import trio

from betar_tui.p2p.guard import shortened
from betar_tui.p2p.misbehaviour import FOLD, MisbehaviourLedger, MisbehaviourReports

log = logging.getLogger(__name__)


class Penalties:
    """Calls `report(peer, reason)` for the log of people, and `ban(peer)` when a peer broke too many rules."""

    def __init__(
        self, ledger: MisbehaviourLedger, report: Callable[[str, str], None], ban: Callable[[str], None]
    ) -> None:
        self._ledger = ledger
        self._reports = MisbehaviourReports(trio.current_time)
        self._report = report
        self._ban = ban

    def penalize(self, peer: str, reason: str) -> None:
        """Count a misbehaviour. All that one peer does within a second is reported in two events."""
        reason = shortened(reason)
        log.debug("misbehaviour of %s: %s", peer, reason)
        if self._reports.note(peer, reason):
            self._tell(peer, reason)
        if self._ledger.penalize(peer):
            log.warning("%s broke too many rules: it is banned", peer)
            self._ban(peer)

    async def report_folded(self) -> None:
        """A service: reports the misbehaviours that were folded."""
        while True:
            await trio.sleep(FOLD / 4)
            for peer, reason in self._reports.due():
                self._tell(peer, reason)

    def _tell(self, peer: str, reason: str) -> None:
        log.info("misbehaviour of %s: %s", peer, reason)
        self._report(peer, reason)
