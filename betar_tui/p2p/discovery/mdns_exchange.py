"""What to ask, what to answer, and whom to believe, in mDNS. Pure: messages and times in, messages and peers out.

Anybody on the link can invent peers. A new instance costs its sender, and the link as a whole, one of a limited number
of tokens that come back slowly; an instance for which there is none is not looked at until it is announced again."""

import random
import secrets
import string
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from betar_tui.p2p.discovery.mdns_messages import (
    SERVICES,
    Record,
    announced,
    answer,
    decode,
    moved_to,
    peer_in,
    question,
)

FIRST_PAUSE = 4.0
"""Seconds between the first two questions. The pauses grow as those of go-libp2p: 0, 4, 14, 37 s, then each minute."""
LONGEST_PAUSE = 60.0
"""Seconds between two questions at most, unless many instances are known."""
ALONE_PAUSE = 10.0
"""Seconds between two questions at most while no peer is on the topic."""
SPREAD = 0.2
"""Part of the longest pause that is added to it at random, so that peers do not ask at the same time."""
MAX_SPARED = 4
"""Number of longest pauses that pass at most without a question of this peer's own."""
CROWD = 8
"""Number of known instances beyond which questions become rarer, so that traffic grows with peers, not their square."""
ANNOUNCEMENTS = (0.0, 1.0)
"""Seconds after the start at which a peer announces itself unasked."""
ANSWER_DELAY = 0.1
"""Maximum seconds, chosen at random, until a question is answered: many peers hear it at the same time."""
ANSWER_PAUSE = 1.0
"""Seconds between two answers."""
REPEAT = 20.0
"""Seconds after which a known instance is reported again when it is still there."""
MAX_KNOWN = 512
"""Maximum instances that are remembered."""
MAX_SENDERS = 4
"""Maximum addresses that are remembered from which an instance was heard without having them itself."""
MAX_SOURCES = 256
"""Maximum senders whose tokens are counted."""
SOURCE_TOKENS, SOURCE_REFILL = 16.0, 0.5
"""Number of new instances that one sender may introduce at once, and per second afterwards."""
LINK_TOKENS, LINK_REFILL = 64.0, 1.0
"""The same for all senders together."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A peer on the link and where to dial it. `fresh`: it has just come, or its addresses are new."""

    peer: str
    addrs: tuple[str, ...]
    fresh: bool


@dataclass(slots=True)
class _Tokens:
    """Tokens that come back with time, up to `most`."""

    most: float
    refill: float
    left: float
    since: float

    def there(self, now: float) -> bool:
        """Whether there is one."""
        self.left = min(self.most, self.left + (now - self.since) * self.refill)
        self.since = now
        return self.left >= 1


@dataclass(slots=True)
class _Known:
    text: int
    reported: float
    senders: tuple[str, ...]


class Exchange:
    """One stay on the network: an instance name, its addresses, and what is known of the others.

    `own` are the multiaddrs of this peer. Times are in seconds of one clock."""

    def __init__(self, own: tuple[str, ...], now: float, jitter: Callable[[], float] = random.random) -> None:
        self._jitter = jitter
        self._addrs = announced(own)
        letters = string.ascii_lowercase + string.digits
        self._instance = "".join(secrets.choice(letters) for _ in range(40))
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._sources: OrderedDict[str, _Tokens] = OrderedDict()
        self._link = _Tokens(LINK_TOKENS, LINK_REFILL, LINK_TOKENS, now)
        self._asked = self._heard_asking = now
        self._pause = 0.0
        self._answer_due = {(service, now + after) for service in SERVICES for after in ANNOUNCEMENTS}
        self._answered = dict.fromkeys(SERVICES, now - ANSWER_PAUSE)

    # What comes in

    def received(self, data: bytes, source: str, same_machine: bool, now: float) -> list[Sighting]:
        """Take a message from the link; returns the peers to be dialled. Raises DecodeError."""
        message = decode(data)
        if set(message.asked) == set(SERVICES) and not message.known and self._pause >= LONGEST_PAUSE:
            self._heard_asking = now  # everybody hears the answers: RFC 6762, 7.3
        for service in message.asked:
            if f"{self._instance}.{service}" not in message.known:
                self._answer(service, now)
        found = (self._seen(record, source, same_machine, now) for record in message.records)
        return [sighting for sighting in found if sighting is not None]

    def _answer(self, service: str, now: float) -> None:
        due = max(now + ANSWER_DELAY * self._jitter(), self._answered[service] + ANSWER_PAUSE)
        if all(one != service or at > due for one, at in self._answer_due):
            self._answer_due.add((service, due))

    def _seen(self, record: Record, source: str, same_machine: bool, now: float) -> Sighting | None:
        if record.name == f"{self._instance}.{record.service}":
            return None
        if record.gone:
            self._known.pop(record.name, None)
            return None
        moved = "" if same_machine else moved_to(record.text, source)
        text, known = hash(record.text), self._known.get(record.name)
        senders = known.senders if known is not None else ()
        fresh = known is None or known.text != text or (moved != "" and moved not in senders)
        if known is not None and not fresh and now < known.reported + REPEAT:
            return None
        if fresh and not self._pays(source, now):
            return None
        self._known[record.name] = _Known(text, now, (moved, *senders)[:MAX_SENDERS] if fresh else senders)
        self._known.move_to_end(record.name)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        named = peer_in(record.text, same_machine, moved)
        # Another instance with this peer's own id may be a duplicate of it.
        return None if named is None else Sighting(*named, fresh)

    def _pays(self, source: str, now: float) -> bool:
        tokens = self._sources.setdefault(source, _Tokens(SOURCE_TOKENS, SOURCE_REFILL, SOURCE_TOKENS, now))
        self._sources.move_to_end(source)
        if len(self._sources) > MAX_SOURCES:
            self._sources.popitem(last=False)
        if not (tokens.there(now) and self._link.there(now)):
            return False
        tokens.left -= 1
        self._link.left -= 1
        return True

    # What goes out

    def due(self, alone: bool) -> float:
        """When the next message is to be sent."""
        answers = (at for _, at in self._answer_due) if self._addrs else ()
        return min(self._ask_due(alone), *answers, float("inf"))

    def _ask_due(self, alone: bool) -> float:
        if alone:
            return self._asked + min(self._pause, ALONE_PAUSE)
        return min(max(self._asked, self._heard_asking) + self._pause, self._asked + MAX_SPARED * self._pause)

    def messages(self, alone: bool, now: float) -> list[bytes]:
        """The messages to send to everybody on the link now."""
        messages = []
        for service in sorted({one for one, at in self._answer_due if at <= now}):
            self._answered[service] = now
            if self._addrs:
                messages.append(answer(service, self._instance, self._addrs))
        self._answer_due = {(one, at) for one, at in self._answer_due if at > now}
        if self._ask_due(alone) <= now:
            self._asked = now
            crowd = max(1.0, len(self._known) / CROWD)
            grown = self._pause * (1.5 + self._jitter())  # as go-libp2p's
            longest = LONGEST_PAUSE * (1 + SPREAD * self._jitter())
            self._pause = min(grown, longest) * crowd if self._pause else FIRST_PAUSE
            messages.append(question())
        return messages

    def goodbye(self) -> list[bytes]:
        """The messages that take everything back which was announced."""
        return [answer(service, self._instance, self._addrs, goodbye=True) for service in SERVICES if self._addrs]
