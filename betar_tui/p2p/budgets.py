"""What a neighbour and an author may cost this peer: the table, and the two ways of counting that it rests on.

A `Bucket` has a rate and a burst: what is taken beyond them is refused, or has to wait. `Shares` divide one rate among all
who use it: as long as there is enough nobody is limited, and when there is not, only those are who have lately used more
than an equal part. So an attacker that fills everything, from however many connections, leaves every other its part.

Pure: the caller passes the time, in seconds of any clock that does not go back."""

import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Rate:
    """So much per second, and `burst` at once after a pause."""

    rate: float
    burst: float


# The table. Loop time is what reading, checking, delivering and forwarding takes of the event loop.

LOOP_TIME = Rate(0.5, 0.5)
"""Seconds of loop time per second for the gossip of all neighbours together. Beyond it, of those that used more than an
equal part, messages wait whose authors are not in good standing or send much; with half as much again, their streams."""
AUTHOR_MESSAGES = Rate(100, 500)
"""Messages of one author that one neighbour brings. Further ones are not looked at; the latest of them waits, as it names
the heads that bring the others."""
AUTHOR_BYTES = Rate(1 << 20, 16 << 20)
"""The same in bytes of payload."""
NEW_AUTHORS = Rate(20, 1024)
"""Authors not heard of lately, of all neighbours together; beyond it, they are dropped that come from a neighbour which
brought more than an equal part of them."""
NONSENSE_MESSAGES, NONSENSE_AUTHORS = 100.0, 20.0
"""What a payload that is not a broadcast counts as: messages of its author, and new authors of the neighbour that brought
it, since the keys that sign such payloads are free to make."""
RESENT_BYTES = Rate(1 << 20, 4 << 20)
"""Bytes of messages that are sent to one neighbour because it asked for them with IWANT; the rest is not sent."""
ASKED_IDS = Rate(1000, 5000)
"""Ids of messages that one neighbour is asked for because it offered them with IHAVE; the rest is not asked for."""
SUBSCRIPTIONS = Rate(1, 16)
"""Changes of one neighbour's subscription, each of which brings it the latest messages; further ones are ignored."""
HANDSHAKES = Rate(60, 100)
"""Handshakes per second of all addresses together; beyond it, those wait whose address had more than an equal part."""

BYTE_TIME = 20e-9
"""Seconds of loop time that decrypting and copying a byte takes, which happens before the message is looked at."""
SHARE_TIME = 2.0
"""Seconds over which it is judged who uses how much."""
MAX_USERS = 1024
"""Maximum users whose use is remembered. Beyond it, the half that used least lately is forgotten."""
MAX_WAIT = 1.0
"""Maximum seconds to wait before looking again."""


class Bucket:
    """One allowance, full at first. `left` may go below zero by what was spent without asking, at most by a burst."""

    __slots__ = ("_limit", "_left", "_since")

    def __init__(self, limit: Rate, now: float) -> None:
        self._limit = limit
        self._left = limit.burst
        self._since = now

    def left(self, now: float) -> float:
        """What may be taken at once."""
        if now > self._since:
            self._left = min(self._limit.burst, self._left + self._limit.rate * (now - self._since))
            self._since = now
        return self._left

    def take(self, amount: float, now: float) -> bool:
        """Take `amount` if there is as much. Returns whether there was."""
        if self.left(now) < amount:
            return False
        self._left -= amount
        return True

    def spend(self, amount: float, now: float) -> None:
        """Take `amount`, into debt if need be."""
        self._left = max(self.left(now) - amount, -self._limit.burst)

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken."""
        return max(0.0, (amount - self.left(now)) / self._limit.rate)


class Buckets(Generic[Key]):
    """A bucket for each key, of which those used last are remembered. One that is forgotten begins full again."""

    def __init__(self, limit: Rate, remembered: int) -> None:
        self._limit = limit
        self._remembered = remembered
        self._buckets: OrderedDict[Key, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, key: Key, now: float) -> Bucket:
        """The bucket of `key`, which now counts as used."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._limit, now)
            if len(self._buckets) > self._remembered:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket

    def forget(self, key: Key) -> None:
        """Whatever has this key is gone."""
        self._buckets.pop(key, None)


class Shares(Generic[Key]):
    """One rate that all share; see the module. A user counts as long as it has used a tenth of an equal part lately."""

    def __init__(self, limit: Rate) -> None:
        self._limit = limit
        self._common: Bucket | None = None
        self._used: dict[Key, tuple[float, float]] = {}  # amount, which fades with `SHARE_TIME`, and when that was
        self._tidied = -math.inf

    def __len__(self) -> int:
        return len(self._used)

    def spend(self, key: Key, amount: float, now: float) -> None:
        """`key` has used `amount`."""
        if self._common is None:
            self._common = Bucket(self._limit, now)
        self._common.spend(amount, now)
        self._used[key] = self._lately(key, now) + amount, now
        if now >= self._tidied + SHARE_TIME or len(self._used) > MAX_USERS:
            self._tidy(now)

    def wait(self, key: Key, now: float, leniency: float = 1.0) -> float:
        """Seconds until `key` may use more, at most `MAX_WAIT`; 0 if it may now.

        Its part may be `leniency` times an equal one."""
        if self._common is None or (left := self._common.left(now)) > 0:
            return 0.0
        used, part = self._lately(key, now), self._part(now) * leniency
        if used <= part:
            return 0.0
        until_all, until_equal = -left / self._limit.rate, SHARE_TIME * math.log(used / part)
        return min(MAX_WAIT, max(1e-3, min(until_all, until_equal)))

    def _tidy(self, now: float) -> None:
        """Forget those whose use has faded, and of too many those that used least. One that used much is never forgotten for
        others, or it could make room with throw-away keys and begin afresh."""
        self._tidied, least = now, self._limit.rate * SHARE_TIME / MAX_USERS
        self._used = {each: used for each, used in self._used.items() if self._lately(each, now) > least}
        if len(self._used) > MAX_USERS:
            most = sorted(self._used, key=lambda each: self._lately(each, now), reverse=True)
            self._used = {each: self._used[each] for each in most[: MAX_USERS // 2]}

    def _lately(self, key: Key, now: float) -> float:
        amount, since = self._used.get(key, (0.0, now))
        return amount * math.exp((since - now) / SHARE_TIME)

    def _part(self, now: float) -> float:
        """An equal part, in what is used within `SHARE_TIME`."""
        whole = self._limit.rate * SHARE_TIME
        used = sorted((self._lately(key, now) for key in self._used), reverse=True)
        # Those that use less than a tenth of an equal part leave theirs to the others.
        users = 1
        while users < len(used) and used[users] * 10 * users > whole:
            users += 1
        return whole / users
