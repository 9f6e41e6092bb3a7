"""The Merkle-DAG as lines of text, heads at the top: one line for each delta, with its branches in lanes. Pure.

A lane has the CID that is expected next in it. A delta is drawn in the leftmost lane that expects it; the other such
lanes end there (╯). Its first link continues in its own lane, each further link opens a lane (╮)."""

from collections.abc import Sequence
from dataclasses import dataclass

from betar_tui.market.marketplace import DagNodeInfo

MAX_LANES = 16
"""Maximum lanes drawn; "…" stands for the others."""


@dataclass(frozen=True, slots=True)
class GraphLine:
    """One delta and the lanes before it. A head is a delta without a link to it."""

    node: DagNodeInfo
    lanes: str
    head: bool


def draw(nodes: Sequence[DagNodeInfo]) -> list[GraphLine]:
    """The lines of the graph; `nodes` are in descending height, so each comes before the nodes that it links to."""
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
    """The index of a free lane, new if all are in use."""
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
