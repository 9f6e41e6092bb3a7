"""What the caller decides about the interface."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TuiOptions:
    """Settings of one run of the app.

    `clock` tells Unix seconds; tests fix it. `settle` is how many seconds after the last move of the cursor the table
    takes in what arrived meanwhile. `interval` is the time between two batches of events. `title` stands at the left
    of the status line. `framed` is called once the first frame is on the screen, `painted` once the
    stored listings are.
    `log_tail` reads the last lines of the log, oldest first; it is called in a thread.
    """

    clock: Callable[[], float] = time.time
    settle: float = 2.0
    interval: float = 0.1
    theme: str = "betar-dark"
    title: str = "betar"
    animate: bool = True
    framed: Callable[[], None] = lambda: None
    painted: Callable[[], None] = lambda: None
    log_tail: Callable[[], Sequence[str]] = tuple
