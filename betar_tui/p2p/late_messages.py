"""The latest message of each author, at each neighbour, that came before its author might send again.

It may be the last of many, which announces the others. Beyond a bound, in messages or in bytes, the newest one of the
neighbour with most of that is dropped, so that those which have waited for long are not displaced again and again.
Messages are kept encoded: a decoded one holds on to the whole RPC that it came in. Pure: the caller passes the time, in
seconds."""

from collections import Counter
from dataclasses import dataclass

MAX_LATE, MAX_LATE_BYTES = 256, 4 << 20
"""Maximum messages beyond their authors' rates that wait, and bytes of them with their authors' ids."""


@dataclass(slots=True)
class _Late:
    """A message, and when it may be looked at."""

    message: bytes
    due: float


class LateMessages:
    """See the module."""

    def __init__(self) -> None:
        self._messages: dict[tuple[bytes, bytes], _Late] = {}  # by neighbour and author, the one waiting longest first
        self._of = Counter[bytes]()
        self._bytes_of = Counter[bytes]()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, neighbour: bytes, author: bytes, message: bytes, due: float) -> Counter[bytes]:
        """Keep a message until `due`, or for as long as the one in whose place it comes.

        Returns how many were dropped by the neighbour that had brought them, this one perhaps among them."""
        key, dropped = (neighbour, author), Counter[bytes]()
        before = self._messages.get(key)
        if before is None:
            self._messages[key] = _Late(message, due)
            self._of[neighbour] += 1
            self._weigh(neighbour, len(message) + len(author))
        else:
            dropped[neighbour] += 1
            self._weigh(neighbour, len(message) - len(before.message))
            before.message = message
        while (many := len(self._messages) > MAX_LATE) or self.bytes > MAX_LATE_BYTES:
            weights = self._of if many else self._bytes_of
            greatest = max(weights, key=weights.__getitem__)
            self.take(*next(each for each in reversed(self._messages) if each[0] == greatest))
            dropped[greatest] += 1
        return dropped

    def due(self, now: float) -> list[tuple[bytes, bytes]]:
        """The neighbours and authors whose messages may be looked at."""
        return [key for key, late in self._messages.items() if late.due <= now]

    def take(self, neighbour: bytes, author: bytes) -> bytes | None:
        """Remove and return the message that waits, if any."""
        late = self._messages.pop((neighbour, author), None)
        if late is None:
            return None
        self._weigh(neighbour, -len(late.message) - len(author))
        self._of[neighbour] -= 1
        if not self._of[neighbour]:
            del self._of[neighbour], self._bytes_of[neighbour]
        return late.message

    def _weigh(self, neighbour: bytes, change: int) -> None:
        self._bytes_of[neighbour] += change
        self.bytes += change
