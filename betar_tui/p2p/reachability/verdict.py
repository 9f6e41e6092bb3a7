"""What follows from the answers of AutoNAT servers. Pure.

A server may lie, and one network can hold many: the last answer from each network counts, and the majority decides."""

from dataclasses import dataclass

from betar_tui.p2p.reachability.observed import network_of

MAX_ANSWERS = 16
"""Maximum networks whose last answer is kept."""
ANSWER_TTL = 3600.0
"""Seconds for which an answer counts."""
ENOUGH = 3
"""Number of answers after which servers are asked only rarely."""
PUBLIC, PRIVATE, UNKNOWN = "public", "private", "unknown"


@dataclass(frozen=True, slots=True)
class _Answer:
    address: str  # where the server reached this peer, "" where it could not
    at: float


class Answers:
    """The last answer of each network."""

    def __init__(self) -> None:
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
        self._answers = {network: each for network, each in self._answers.items() if each.at + ANSWER_TTL > now}
        return len(self._answers)

    def verdict(self, now: float) -> str:
        """PUBLIC, PRIVATE, or UNKNOWN without a majority."""
        total = self.count(now)
        reached = sum(1 for each in self._answers.values() if each.address)
        if 2 * reached == total:
            return UNKNOWN
        return PUBLIC if 2 * reached > total else PRIVATE

    def confirmed(self) -> tuple[str, ...]:
        """The addresses that worked, each once, the newest answer first."""
        return tuple(dict.fromkeys(each.address for each in reversed(self._answers.values()) if each.address))
