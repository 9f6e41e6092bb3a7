"""Makes asyncio of Python 3.14 fit for trio-asyncio 0.16, which knows it up to 3.13.

Python 3.14 has put an underscore before two names and removed a third, which trio-asyncio takes as base classes when it
is imported; what it does with them, loop policies and waiting for child processes, is not used here. And a task of
asyncio now runs only under the loop that its thread's state names, in a place that trio-asyncio does not write to: so
each handle names its loop while it runs (https://github.com/python-trio/trio-asyncio/issues/160)."""

import asyncio
import sys
from typing import Any


def prepare() -> None:
    """To be called before trio-asyncio is imported. Does nothing before Python 3.14."""
    events: Any = asyncio.events
    if sys.version_info < (3, 14) or hasattr(events, "BaseDefaultEventLoopPolicy"):
        return
    events.BaseDefaultEventLoopPolicy = events._BaseDefaultEventLoopPolicy
    events.AbstractEventLoopPolicy = events._AbstractEventLoopPolicy
    setattr(asyncio, "AbstractChildWatcher", object)  # noqa: B010 - a type to mypy
    run, running, set_running = events.Handle._run, events._get_running_loop, events._set_running_loop

    def run_under_its_loop(handle: Any) -> None:
        before = running()
        set_running(handle._loop)
        try:
            run(handle)
        finally:
            set_running(before)

    events.Handle._run = run_under_its_loop
