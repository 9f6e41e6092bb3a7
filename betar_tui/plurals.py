"""Counted things in words. Pure, and quick to import."""


def plural(count: int, one: str, many: str = "") -> str:
    """A number with its noun, and whatever else follows the number: "1 peer", "2 peers", "1,200 entries"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
