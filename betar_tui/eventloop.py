"""Coroutines that need an event loop only in some cases.

A command that asks a running peer sends one request and prints the answer: importing trio would take longer than all of
that. So commands start without an event loop, and one that turns out to need it continues in it."""

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end: without an event loop until it first awaits `event_loop`, from there on in trio.

    Raises what it raises; from trio that may come as a group."""
    coroutine = work()
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    import trio  # deferred: this is what a coroutine without `event_loop` saves

    return trio.run(lambda: coroutine)


@types.coroutine
def event_loop() -> Generator[None, None, None]:
    """Wait until trio runs. Whatever a coroutine awaits of trio's comes after this."""
    import trio  # deferred, as above

    try:
        trio.current_time()
    except RuntimeError:  # no loop runs
        yield
