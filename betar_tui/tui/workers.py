"""Starting a worker. One place, because of one typing wrinkle and one trap."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from textual.dom import DOMNode


def start(
    node: DOMNode, work: Callable[[], Coroutine[Any, Any, None]], *, group: str = "default", exclusive: bool = True
) -> None:
    """Run `work` beside the interface; `exclusive` ends what runs in the same group.

    It takes the function and not a coroutine: a worker that is superseded before it began would leave that unawaited.
    """
    # Textual's signature offers mypy four shapes of work at once, and it settles on none.
    node.run_worker(work, group=group, exclusive=exclusive)  # type: ignore[arg-type]


def runs(node: DOMNode, group: str) -> bool:
    """Whether work of this group runs for the node."""
    return any(each.node is node and each.group == group and each.is_running for each in node.workers)
