"""The options of one run of the app."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from betar_tui.leaving import Leaving
from betar_tui.tui.settings import InterfaceSettings


@dataclass(frozen=True, slots=True)
class TuiOptions:
    """Options of the app.

    `clock` returns Unix seconds; tests fix it. The table takes in what is new `settle` seconds after the cursor last
    moved. `interval` is the number of seconds between two batches of events. `title` is at the left of the status line.
    `framed` is called once the first frame is on the screen, `painted` once the first listings are. The other panes are
    mounted when the table is filled, or after `mount_panes_after` seconds. `log_tail` reads the last lines of the log,
    oldest first; it is called in a thread. `settings` are in force at the start, `complaints` are the errors found in
    them. `keep` saves changed ones, by name, in `settings_file`; it is called in a thread and may raise BetarError.

    `drafts` reads what was typed into forms and not sent, by listing id and field, and `keep_drafts`, which is called in a
    thread, keeps some of it, or forgets what is None; both may raise BetarError. Without `drafts` they end with the app.

    `leaving` says when the app is to end. `own_peer` says whether the peer runs in this process, and `others` how many
    other programs use it then. `take_over`, to be awaited in trio, makes it run here after another process has lost it; it
    may raise BetarError."""

    clock: Callable[[], float] = time.time
    settle: float = 2.0
    interval: float = 0.1
    title: str = "betar"
    animate: bool = True
    framed: Callable[[], None] = lambda: None
    mount_panes_after: float = 1.0
    painted: Callable[[], None] = lambda: None
    log_tail: Callable[[], Sequence[str]] = tuple
    settings: InterfaceSettings = field(default_factory=InterfaceSettings)
    settings_file: str = "config.toml"
    complaints: tuple[str, ...] = ()
    keep: Callable[[Mapping[str, object]], None] = lambda changes: None
    drafts: Callable[[], Mapping[str, dict[str, str]]] | None = None
    keep_drafts: Callable[[Mapping[str, dict[str, str] | None]], None] = lambda changes: None
    leaving: Leaving = field(default_factory=Leaving)
    own_peer: Callable[[], bool] = lambda: False
    others: Callable[[], int] = lambda: 0
    take_over: Callable[[], Awaitable[None]] | None = None
