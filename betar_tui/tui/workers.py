"""Start Textual workers; here because of one typing wrinkle and one trap."""

from collections.abc import Callable, Coroutine
from typing import Any

from textual.dom import DOMNode


def start(
    node: DOMNode, work: Callable[[], Coroutine[Any, Any, None]], *, group: str = "default", exclusive: bool = True
) -> None:
    """Run `work` as a worker of the node; `exclusive` cancels the workers of the same group.

    It takes a function and not a coroutine, which would never be awaited if its worker is cancelled before it began."""
    # mypy cannot choose between the four types of work that Textual's signature accepts.
    node.run_worker(work, group=group, exclusive=exclusive)  # type: ignore[arg-type]


def runs(node: DOMNode, group: str) -> bool:
    """Whether a worker of this group runs for the node."""
    return any(worker.node is node and worker.group == group and worker.is_running for worker in node.workers)
