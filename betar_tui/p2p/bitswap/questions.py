"""Asking a peer whether it has our blocks: which peers hold a head is observed, not assumed. Pure.

A question is a WANT_HAVE for a block that is here. The answer is a HAVE, a DONT_HAVE or, of a small block, the block
itself. A peer that answered DONT_HAVE keeps the entry and sends a HAVE as soon as it gets the block, until the question
is withdrawn, which the next questions do. Any of these messages also makes boxo ask us again, see `p2p.hearing`."""

from collections.abc import Iterable

from betar_tui.p2p.bitswap.messages import WantlistEntry

MAX_QUESTIONS = 8
"""Maximum blocks asked about at a time."""
MAX_RECENT = 64
"""Maximum withdrawn or answered questions that are remembered: an answer to one may be on its way."""


class Questions:
    """The questions to one peer."""

    def __init__(self) -> None:
        self._open: dict[bytes, None] = {}
        self._recent: dict[bytes, None] = {}
        self._unsent: dict[bytes, WantlistEntry] = {}

    def __contains__(self, cid: bytes) -> bool:
        """Whether the block was asked about lately, so that receiving it is not a misbehaviour."""
        return cid in self._open or cid in self._recent

    def ask(self, cids: Iterable[bytes]) -> None:
        """Ask about these blocks, at most `MAX_QUESTIONS`, in place of those of the last call."""
        asked = dict.fromkeys(list(cids)[:MAX_QUESTIONS])
        for cid in [cid for cid in self._open if cid not in asked]:
            self._unsent[cid] = WantlistEntry(cid, cancel=True)
            self._close(cid)
        for cid in asked:
            self._recent.pop(cid, None)
            self._unsent[cid] = WantlistEntry(cid, have=True, send_dont_have=True)
        self._open = asked

    def take(self) -> list[WantlistEntry]:
        """The entries to send now."""
        entries = list(self._unsent.values())
        self._unsent.clear()
        return entries

    def resend(self) -> None:
        """The stream to the peer broke: ask the open questions again."""
        self.ask(self._open)

    def answered(self, cid: bytes, have: bool) -> bool:
        """The peer sent a HAVE, a DONT_HAVE or the block. Returns whether that answers an open question."""
        if cid not in self._open:
            return False
        if have:
            self._close(cid)
        return True

    def _close(self, cid: bytes) -> None:
        del self._open[cid]
        self._recent[cid] = None
        while len(self._recent) > MAX_RECENT:
            oldest = next(iter(self._recent))
            del self._recent[oldest]
            self._unsent.pop(oldest, None)
