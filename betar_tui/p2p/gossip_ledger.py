"""Who pays for gossip: what each neighbour brings and each author signs is held against `budgets`, and refusals are counted.

An author's messages are counted for each neighbour apart: old messages of an honest author, sent again by somebody, use up
nothing but what comes through that one. A neighbour is charged for what it causes: the loop's time that its stream takes,
the authors that nobody has heard of, which may be invented, and payloads that no author of a market signs. A neighbour that
forwards an author's excess loses that author's messages, and none of the others'. Nobody is penalised for excess: a Go
peer announces each delta of thousands that it writes.

A neighbour that leaves keeps its accounts, which fade in time: it may be back at once.

Pure: the caller passes the time, in seconds. Neighbours and authors are binary peer ids."""

from collections import Counter, OrderedDict
from collections.abc import Mapping

from betar_tui.p2p import budgets
from betar_tui.p2p.budgets import Bucket, Buckets, Shares

MAX_AUTHORS = 8192
"""Maximum authors that are known, and maximum accounts of an author at a neighbour."""
STANDING = 30.0
"""Seconds since an author was first heard of after which it is in good standing: its messages go before those of others."""

EXCESS, STRANGERS, CONTROL, ASKED = "excess", "unknown authors", "control", "asked again"
"""What is refused: messages of an author beyond its rate, messages of too many new authors, control messages that are none
of this topic's or too many, and messages that a neighbour asked for too often."""


class _Account:
    """What one author may send through one neighbour."""

    __slots__ = ("messages", "bytes")

    def __init__(self, now: float) -> None:
        self.messages = Bucket(budgets.AUTHOR_MESSAGES, now)
        self.bytes = Bucket(budgets.AUTHOR_BYTES, now)


class GossipLedger:
    """The accounts of all neighbours; see the module."""

    def __init__(self) -> None:
        self.time: Shares[bytes] = Shares(budgets.LOOP_TIME)
        self._strangers: Shares[bytes] = Shares(budgets.NEW_AUTHORS)
        self._accounts: OrderedDict[tuple[bytes, bytes], _Account] = OrderedDict()
        self._known: OrderedDict[bytes, float] = OrderedDict()  # since when
        self.resent: Buckets[bytes] = Buckets(budgets.RESENT_BYTES, MAX_AUTHORS)
        self.asked: Buckets[bytes] = Buckets(budgets.ASKED_IDS, MAX_AUTHORS)
        self.subscriptions: Buckets[bytes] = Buckets(budgets.SUBSCRIPTIONS, MAX_AUTHORS)
        self._refused: OrderedDict[bytes, Counter[str]] = OrderedDict()

    def refusal(self, neighbour: bytes, author: bytes, size: int, now: float) -> str:
        """Why not to look at a message, "" if it is to be looked at. All that is known is who is said to have signed it.

        What is looked at and turns out to be signed is to be passed to `signed`."""
        account = self._accounts.get((neighbour, author))
        if account is not None and (account.messages.left(now) < 1 or account.bytes.left(now) < min(size, 1)):
            return EXCESS
        if author not in self._known and author != neighbour and self._strangers.wait(neighbour, now):
            return STRANGERS
        return ""

    def signed(self, neighbour: bytes, author: bytes, size: int, now: float) -> None:
        """A message of `author` with a good signature came from `neighbour`: charge both."""
        if author in self._known:
            self._known.move_to_end(author)
        else:
            self._known[author] = now
            if len(self._known) > MAX_AUTHORS:
                self._known.popitem(last=False)
            if author != neighbour:
                self._strangers.spend(neighbour, 1, now)
        account = self._account(neighbour, author, now)
        account.messages.spend(1, now)
        account.bytes.spend(size, now)

    def nonsense(self, neighbour: bytes, author: bytes, now: float) -> None:
        """That message's payload was refused."""
        self._account(neighbour, author, now).messages.spend(budgets.NONSENSE_MESSAGES, now)
        if author != neighbour:
            self._strangers.spend(neighbour, budgets.NONSENSE_AUTHORS, now)

    def is_light(self, neighbour: bytes, author: bytes, now: float) -> bool:
        """Whether an author is in good standing and sends little: has at least half of what it may send at once."""
        account = self._accounts.get((neighbour, author))
        little = account is None or account.messages.left(now) * 2 >= budgets.AUTHOR_MESSAGES.burst
        return little and self.is_standing(neighbour, author, now)

    def is_standing(self, neighbour: bytes, author: bytes, now: float) -> bool:
        """Whether an author is in good standing: it is the neighbour itself, or has been known for long enough."""
        return author == neighbour or self._known.get(author, now) <= now - STANDING

    def wait(self, neighbour: bytes, author: bytes, now: float) -> float:
        """Seconds until a message of `author` from `neighbour` may be looked at."""
        account = self._account(neighbour, author, now)
        return max(account.messages.wait(1, now), account.bytes.wait(1, now))

    def refuse(self, neighbour: bytes, what: str, count: int = 1) -> None:
        """Count what was refused of a neighbour."""
        counts = self._refused.get(neighbour)
        if counts is None:
            counts = self._refused[neighbour] = Counter()
            if len(self._refused) > MAX_AUTHORS:
                self._refused.popitem(last=False)
        counts[what] += count

    def refused(self, neighbour: bytes) -> Mapping[str, int]:
        """How much of what was refused of a neighbour since the start."""
        return self._refused.get(neighbour, Counter())

    def _account(self, neighbour: bytes, author: bytes, now: float) -> _Account:
        key = neighbour, author
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = _Account(now)
            if len(self._accounts) > MAX_AUTHORS:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(key)
        return account
