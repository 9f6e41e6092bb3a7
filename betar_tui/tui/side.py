"""The width of the panes at the right of the table, in cells. Pure."""

WIDE = 120
"""Minimum columns of a terminal in which all panes have room."""
MIN_SIDE, MIN_TABLE = 34, 50
"""Minimum cells of the panes at the right, and of the table."""
STEP = 4
"""Number of cells by which one key moves the border."""
FULL_SIDE = 90
"""Number of cells in which ids and CIDs are on one line."""
_USUAL = 44


def side_width(columns: int, chosen: int = 0) -> int:
    """The width in a terminal of so many columns: the one that was `chosen`, or without one (0) a share that grows until
    ids have room on one line."""
    width = chosen or min(FULL_SIDE, _USUAL + max(0, columns - 140) * 46 // 60)
    return max(MIN_SIDE, min(width, columns - MIN_TABLE))


def resized(columns: int, chosen: int, by: int) -> int:
    """The chosen width after `by` steps of the key."""
    return side_width(columns, side_width(columns, chosen) + by * STEP)
