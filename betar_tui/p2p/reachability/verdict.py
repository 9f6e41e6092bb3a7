"""What follows from the answers of AutoNAT servers. Pure.

A server may lie, and one network can hold many: the last answer from each network counts, and the majority decides. One
network is not enough to be public, and a success counts only at an IP address that is believed to be this peer's."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from betar_tui.p2p.reachability.observed import ip_of, network_of

MAX_ANSWERS = 16
"""Maximum networks whose last answer is kept."""
ANSWER_TTL = 3600.0
"""Seconds for which an answer counts."""
ENOUGH = 3
"""Number of answers after which servers are asked only rarely."""
CONFIRMATIONS = 2
"""Number of networks that must have reached this peer before it counts as public."""
PUBLIC, PRIVATE, UNKNOWN = "public", "private", "unknown"


@dataclass(frozen=True, slots=True)
class _Answer:
    address: str  # where the server reached this peer, "" where it could not
    at: float


class Answers:
    """The last answer of each network. `believed()` are the IP addresses that are this peer's."""

    def __init__(self, believed: Callable[[], Collection[str]]) -> None:
        self._believed = believed
        self._answers: dict[str, _Answer] = {}

    def note(self, server: str, address: str, now: float) -> None:
        """The server at an IP address dialled `address` successfully, or, with "", failed to reach this peer."""
        network = network_of(server)
        self._answers.pop(network, None)
        self._answers[network] = _Answer(address, now)
        while len(self._answers) > MAX_ANSWERS:
            del self._answers[next(iter(self._answers))]

    def clear(self) -> None:
        """This peer's addresses have changed: nothing is known any more."""
        self._answers.clear()

    def count(self, now: float) -> int:
        """Number of answers that count."""
        return len(self._counted(now))

    def verdict(self, now: float) -> str:
        """PUBLIC, PRIVATE, or UNKNOWN without a majority, or where fewer than CONFIRMATIONS networks reached this peer."""
        counted = self._counted(now)
        reached = sum(1 for each in counted if each)
        if 2 * reached == len(counted):
            return UNKNOWN
        if 2 * reached < len(counted):
            return PRIVATE
        return PUBLIC if reached >= CONFIRMATIONS else UNKNOWN

    def confirmed(self, now: float) -> tuple[str, ...]:
        """The addresses that worked, each once, the newest answer first."""
        return tuple(dict.fromkeys(filter(None, reversed(self._counted(now)))))

    def _counted(self, now: float) -> list[str]:
        """The addresses in the answers that count, "" for a failure, the oldest answer first."""
        self._answers = {network: each for network, each in self._answers.items() if each.at + ANSWER_TTL > now}
        believed = self._believed()
        return [each.address for each in self._answers.values() if not each.address or ip_of(each.address) in believed]
