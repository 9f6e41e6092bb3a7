"""Messages that wait until the loop has time for them, by the neighbour that brought them.

They are of authors that are not in good standing or send much; those of all others are dealt with as they are read. So a
neighbour that passes on what floods it does not hold up its other messages. Beyond the bounds the oldest of the neighbour
gives way: a later message names newer heads. Pure."""

from collections import Counter, deque
from typing import Generic, TypeVar

Message = TypeVar("Message")

MAX_MESSAGES, MAX_BYTES = 4096, 2 << 20
"""Maximum messages of one neighbour that wait, and bytes of payload."""
MAX_ALL_MESSAGES, MAX_ALL_BYTES = 8192, 8 << 20
"""The same of all neighbours together."""


class Backlog(Generic[Message]):
    """See the module."""

    def __init__(self) -> None:
        self._queues: dict[bytes, deque[tuple[Message, bytes, int]]] = {}
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

    def put(self, neighbour: bytes, author: bytes, message: Message, size: int) -> int:
        """Add a message of `size` bytes. Returns how many were dropped, this one or older ones."""
        queue = self._queues.setdefault(neighbour, deque())
        queue.append((message, author, size))
        self._authors[neighbour, author] += 1
        self._count(neighbour, 1, size)
        dropped = 0
        while queue and self._is_full(neighbour, len(queue)):
            self.take(neighbour)
            dropped += 1
        return dropped

    def take(self, neighbour: bytes) -> Message | None:
        """Remove and return the oldest message of a neighbour, if any."""
        queue = self._queues.get(neighbour)
        if not queue:
            return None
        message, author, size = queue.popleft()
        self._authors[neighbour, author] -= 1
        if not self._authors[neighbour, author]:
            del self._authors[neighbour, author]
        self._count(neighbour, -1, -size)
        if not queue:
            del self._queues[neighbour], self._bytes[neighbour]
        return message

    def _count(self, neighbour: bytes, number: int, size: int) -> None:
        self._bytes[neighbour] = self._bytes.get(neighbour, 0) + size
        self._all += number
        self._all_bytes += size

    def _is_full(self, neighbour: bytes, number: int) -> bool:
        if number > MAX_MESSAGES or self._bytes[neighbour] > MAX_BYTES:
            return True
        return self._all > MAX_ALL_MESSAGES or self._all_bytes > MAX_ALL_BYTES
