"""Runs `betar-tui` and writes down each time that one task held the event loop for long.

`python -m tests.attack.watched FILE python -m betar_tui ARGUMENTS…`, the form in which `tests.peers.harness.served` puts a
command before its own. Each line of FILE is a JSON list: when the task was done in monotonic seconds, how long it held the
loop by the clock and by the processor, both in seconds, and its name. The processor's time is what the task itself cost;
by the clock come the waits for other threads and, on a busy machine, for other processes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TextIO

import trio

from betar_tui.__main__ import main

LONG = 0.02
"""Seconds from which on a hold is written down."""
SAMPLE = 0.01
"""Seconds between two looks at the processor's time, which are dear on some systems: a hold's is right within as much."""


class Holds(trio.abc.Instrument):
    """Measures every step of every task."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._began = self._sampled = time.monotonic()
        self._processor = time.thread_time()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = time.monotonic()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        now = time.monotonic()
        if now - self._sampled < SAMPLE:
            return
        processor = time.thread_time()
        if now - self._began > LONG:
            line = [now, now - self._began, processor - self._processor, task.name]
            self._out.write(json.dumps(line) + "\n")
        self._sampled, self._processor = now, processor


def watch(run: Callable[..., Any], out: TextIO) -> Callable[..., Any]:
    """`trio.run` with the instrument."""

    @wraps(run)
    def watched(*args: Any, **kwargs: Any) -> Any:
        return run(*args, **{**kwargs, "instruments": [Holds(out)]})

    return watched


if __name__ == "__main__":
    path, *command = sys.argv[1:]
    sys.argv = ["betar-tui", *command[command.index("betar_tui") + 1 :]]
    with Path(path).open("a", buffering=1) as file:
        trio.run = watch(trio.run, file)
        sys.exit(main())
