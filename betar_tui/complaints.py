"""What goes wrong, in one line on stderr. Imports little: it is all that many mistakes need."""

import sys
from contextlib import suppress

from betar_tui.market.text import neutralise
from betar_tui.stdout import legible


def complain(text: str) -> None:
    """Print one line on stderr, if there is one: the problem, its cause, and what to try."""
    if sys.stderr is None:
        return
    with suppress(OSError, ValueError):  # nobody reads it
        sys.stderr.write(legible(f"betar-tui: {neutralise(text)}\n", sys.stderr.encoding))
        sys.stderr.flush()
