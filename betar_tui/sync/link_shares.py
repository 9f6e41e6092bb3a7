"""Which links to missing blocks are requested over Bitswap at a time. Pure.

Anybody can link to blocks that nobody has. So each peer has a share: of the links in what it brought few are requested at a
time, and the next ones when all of these are here or given up. Links of which nobody knows any more who brought them have a
share too, in which they take turns."""

from collections import Counter
from collections.abc import Callable, Iterable

MAX_LINKS = 1024
"""Number of links in a share."""
MAX_WAITING = 4096
"""Maximum number of links that wait for room in the share of a peer; others have their turn with those of nobody."""


class LinkShares:
    """The links that are requested, each with the peer that brought it, "" where nobody knows."""

    def __init__(self) -> None:
        self._peers: dict[bytes, str] = {}
        self._numbers = Counter[str]()
        self._waiting: dict[str, list[bytes]] = {}
        self._had_turn: set[bytes] = set()

    def take(self, cids: Iterable[bytes], peer: str) -> list[bytes]:
        """Those of these links that are to be requested now, as many as there is room for; others of a peer wait for it."""
        fresh = [cid for cid in cids if cid not in self._peers]
        room = max(0, MAX_LINKS - self._numbers[peer])
        if peer:
            waiting = self._waiting.get(peer, [])
            waiting += fresh[room : room + MAX_WAITING - len(waiting)]
            if waiting:
                self._waiting[peer] = waiting
        else:
            fresh.sort(key=self._had_turn.__contains__)
            if room and fresh and fresh[0] in self._had_turn:
                self._had_turn.clear()
            self._had_turn.update(fresh[:room])
        taken = fresh[:room]
        self._peers.update(dict.fromkeys(taken, peer))
        if taken:
            self._numbers[peer] += len(taken)
        return taken

    def ended(self, cids: Iterable[bytes]) -> dict[str, list[bytes]]:
        """These are not requested any more. Returns what waited for that, of the peers whose share is empty now."""
        emptied = set()
        for cid in cids:
            if (peer := self._peers.pop(cid, None)) is not None:
                self._numbers[peer] -= 1
                if not self._numbers[peer]:
                    del self._numbers[peer]  # peers come and go without end
                    emptied.add(peer)
        return {peer: self._waiting.pop(peer) for peer in emptied & self._waiting.keys()}

    def over(self, is_wanted: Callable[[bytes], bool], wanted: int) -> list[bytes]:
        """The links to request no more: those that nothing waits for, and those of nobody that have had their turn, where
        more blocks are `wanted` than have room."""
        turns = wanted > MAX_LINKS
        return [cid for cid, peer in self._peers.items() if not is_wanted(cid) or (turns and not peer)]

    def forget(self, peer: str) -> None:
        """A peer is gone: nothing waits for room in its share."""
        self._waiting.pop(peer, None)
