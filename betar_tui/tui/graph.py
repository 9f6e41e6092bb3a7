"""The Merkle-DAG as lines of text, heads at the top: one delta a line, its branches in lanes beside it. Pure.

A lane holds the CID that is expected next in it. A delta takes the leftmost lane that waits for it, the others that do
end there (╯); its first link goes on in its own lane, each further one opens a lane (╮).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from betar_tui.market.marketplace import DagNodeInfo

MAX_LANES = 16
"""More branches than this are not drawn side by side; "…" stands for them."""


@dataclass(frozen=True, slots=True)
class GraphLine:
    """One delta and the lanes before it. A head is a delta that no other links to."""

    node: DagNodeInfo
    lanes: str
    head: bool


def draw(nodes: Sequence[DagNodeInfo]) -> list[GraphLine]:
    """The lines; `nodes` come by falling height, each before what it links to."""
    lanes: list[str] = []
    lines = []
    for node in nodes:
        waiting = [at for at, cid in enumerate(lanes) if cid == node.cid]
        column = waiting[0] if waiting else _free(lanes)
        for at in waiting[1:]:
            lanes[at] = ""
        lanes[column] = node.links[0] if node.links else ""
        opened = []
        for link in node.links[1:]:
            opened.append(_free(lanes, taken={column, *waiting}))
            lanes[opened[-1]] = link
        sign = "●" if waiting else "◆"
        lines.append(GraphLine(node, _lanes(lanes, column, sign, waiting[1:], opened), not waiting))
        while lanes and not lanes[-1]:
            lanes.pop()
    return lines


def _free(lanes: list[str], taken: set[int] | None = None) -> int:
    """A lane that nothing waits in; a new one where there is none."""
    for at, cid in enumerate(lanes):
        if not cid and at not in (taken or ()):
            return at
    lanes.append("")
    return len(lanes) - 1


def _lanes(lanes: Sequence[str], column: int, sign: str, ended: Sequence[int], opened: Sequence[int]) -> str:
    bound = {column, *ended, *opened}
    left, right = min(bound), max(bound)
    text = ""
    for at in range(max(len(lanes), right + 1)):
        if at == column:
            char = sign
        elif at in ended:
            char = "╯" if at == right else "┴"
        elif at in opened:
            char = "╮" if at == right else ("╭" if at == left else "┬")
        elif left < at < right:
            char = "┼" if lanes[at] else "─"
        else:
            char = "│" if at < len(lanes) and lanes[at] else " "
        text += char + ("─" if left <= at < right else " ")
    return text if len(text) <= 2 * MAX_LANES else text[: 2 * MAX_LANES - 2] + "… "
