"""Where a change came from: the peer that brought it, or one of two words in its place. Pure."""

from collections.abc import Callable

LOCAL, FROM_FILE = "local", "import"
"""In the place of a peer id: this peer itself, and an archive that was imported."""


def origin_text(via: str, peer: Callable[[str], str]) -> str:
    """The words for it, "" where it is not known; `peer` makes those of a peer id."""
    if via == LOCAL:
        return "written here"
    if via == FROM_FILE:
        return "from a file"
    return f"via {peer(via)}" if via else ""
