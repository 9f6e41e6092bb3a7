"""What the caller decides about the interface."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from betar_tui.tui.settings import InterfaceSettings


@dataclass(frozen=True, slots=True)
class TuiOptions:
    """What one run of the app is given.

    `clock` tells Unix seconds; tests fix it. `settle` is how many seconds after the last move of the cursor the table
    takes in what arrived meanwhile. `interval` is the time between two batches of events. `title` stands at the left
    of the status line. `framed` is called once the first frame is on the screen, `listed` once the first stored
    listings are, `painted` once all are, after `furnish` seconds the panes beside the table are put up even without.
    `log_tail` reads the last lines of the log, oldest first; it is called in a thread. `settings` are in force at the
    start, `complaints` say what was wrong with them; `keep` writes changed ones down, by name, in a thread, and raises
    BetarError where it cannot. `indexed` is called after each load of all listings, once they can be searched.
    """

    clock: Callable[[], float] = time.time
    settle: float = 2.0
    interval: float = 0.1
    title: str = "betar"
    animate: bool = True
    framed: Callable[[], None] = lambda: None
    listed: Callable[[], None] = lambda: None
    furnish: float = 1.0
    painted: Callable[[], None] = lambda: None
    indexed: Callable[[], None] = lambda: None
    log_tail: Callable[[], Sequence[str]] = tuple
    settings: InterfaceSettings = field(default_factory=InterfaceSettings)
    complaints: tuple[str, ...] = ()
    keep: Callable[[Mapping[str, object]], None] = lambda changes: None
