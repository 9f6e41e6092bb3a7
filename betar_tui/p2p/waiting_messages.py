"""Messages that wait until the loop has time for them, by the neighbour that brought them.

They are of authors that are not in good standing or send much; those of all others are dealt with as they are read. So a
neighbour that passes on what floods it does not hold up its other messages. Beyond the bounds of a neighbour its oldest
gives way, since a later message names newer heads; beyond those of all, the oldest of the neighbour with most. Messages
are kept encoded: a decoded one holds on to the whole RPC that it came in. Pure."""

from collections import Counter, deque

MAX_MESSAGES, MAX_BYTES = 4096, 2 << 20
"""Maximum messages of one neighbour that wait, and bytes of them with their authors' ids."""
MAX_ALL_MESSAGES, MAX_ALL_BYTES = 8192, 8 << 20
"""The same of all neighbours together."""


class WaitingMessages:
    """See the module."""

    def __init__(self) -> None:
        self._queues: dict[bytes, deque[tuple[bytes, bytes]]] = {}  # of (message, author)
        self._authors = Counter[tuple[bytes, bytes]]()
        self._bytes: dict[bytes, int] = {}
        self._all, self._all_bytes = 0, 0

    def __len__(self) -> int:
        return self._all

    def of(self, neighbour: bytes) -> int:
        """Number of messages of a neighbour that wait."""
        return len(self._queues.get(neighbour, ()))

    def has(self, neighbour: bytes, author: bytes) -> bool:
        """Whether a message of an author, which a neighbour brought, waits: the next is to come after it."""
        return (neighbour, author) in self._authors

    def put(self, neighbour: bytes, author: bytes, message: bytes) -> Counter[bytes]:
        """Add a message. Returns how many were dropped, by the neighbour that brought them; this one may be among them."""
        queue = self._queues.setdefault(neighbour, deque())
        queue.append((message, author))
        self._authors[neighbour, author] += 1
        self._count(neighbour, 1, len(message) + len(author))
        dropped = Counter[bytes]()
        while self.of(neighbour) > MAX_MESSAGES or self._bytes.get(neighbour, 0) > MAX_BYTES:
            self.take(neighbour)
            dropped[neighbour] += 1
        while self._all > MAX_ALL_MESSAGES or self._all_bytes > MAX_ALL_BYTES:
            greatest = max(self._queues, key=self.of if self._all > MAX_ALL_MESSAGES else self._bytes.__getitem__)
            self.take(greatest)
            dropped[greatest] += 1
        return dropped

    def take(self, neighbour: bytes) -> bytes | None:
        """Remove and return the oldest message of a neighbour, if any."""
        queue = self._queues.get(neighbour)
        if not queue:
            return None
        message, author = queue.popleft()
        self._authors[neighbour, author] -= 1
        if not self._authors[neighbour, author]:
            del self._authors[neighbour, author]
        self._count(neighbour, -1, -len(message) - len(author))
        if not queue:
            del self._queues[neighbour], self._bytes[neighbour]
        return message

    def _count(self, neighbour: bytes, number: int, size: int) -> None:
        self._bytes[neighbour] = self._bytes.get(neighbour, 0) + size
        self._all += number
        self._all_bytes += size
