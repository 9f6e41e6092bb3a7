"""Reading in a worker thread that ends when nobody waits for it any more."""

from collections.abc import Callable
from threading import Event
from typing import TypeVar

import trio

T = TypeVar("T")


async def read(work: Callable[[Callable[[], bool]], T]) -> T:
    """The result of `work` in a worker thread. It is given a function that returns False once this call is cancelled, and
    must end soon after that: it is not waited for."""
    left = Event()
    try:
        return await trio.to_thread.run_sync(work, lambda: not left.is_set(), abandon_on_cancel=True)  # type: ignore[call-arg]
    finally:
        left.set()
