"""The orders of rows in SQL: (sorted column, folded name, number), forwards and backwards, and what lies beyond a place.

Pure. A page is found by the place of a row, never by counting the rows before it, so that the middle of a market costs
what its beginning costs."""

from dataclasses import dataclass

from betar_tui.catalogue.conditions import Sql, all_of, any_of
from betar_tui.errors import FilterError
from betar_tui.market.marketplace import Place
from betar_tui.market.sorting import SORT_COLUMNS


@dataclass(frozen=True, slots=True)
class Order:
    """An order that is read in one direction. `backwards` turns all three parts around, as `-` before a column does."""

    column: str
    backwards: bool = False

    @property
    def index(self) -> str:
        """The index that has the rows in this order."""
        return f"listings_by_{self.column}"

    @property
    def columns(self) -> str:
        """What is selected of a row: its number, its value and its name, see `place`."""
        return f"l.k, l.{self.column}, l.name"

    @property
    def by(self) -> str:
        """The terms of ORDER BY."""
        rest = f"l.name{self._way}, l.k{self._way}"
        return rest if self.column == "name" else f"l.{self.column}{self._value_way}, {rest}"

    def reversed(self) -> "Order":
        """The same rows from the end."""
        return Order(self.column, not self.backwards)

    def beyond(self, place: Place | None) -> list[Sql]:
        """The rows after a place, all without one, as ranges of the index: one after the other they are in order."""
        if place is None:
            return [Sql("1")]
        op, value_op = (" <" if self.backwards else " >"), (" <" if self._value_falls else " >")
        if self.column == "name":
            return [
                Sql(f"l.name = ? AND l.k{op} ?", (place.name, place.number)),
                Sql(f"l.name{op} ?", (place.name,)),
            ]
        value = f"l.{self.column}"
        return [
            Sql(f"{value} = ? AND l.name = ? AND l.k{op} ?", (place.value, place.name, place.number)),
            Sql(f"{value} = ? AND l.name{op} ?", (place.value, place.name)),
            Sql(f"{value}{value_op} ?", (place.value,)),
        ]

    def up_to(self, place: Place) -> list[Sql]:
        """The rows up to a place, with the row there, as ranges of the index that end where they should."""
        behind = Place(place.value, place.name, place.number + (-1 if self.backwards else 1))
        return self.reversed().beyond(behind)[::-1]

    def goes_as(self, bound: Sql) -> bool:
        """Whether a bound on the sorted column excludes rows at the beginning, not at the end: `column < ?` or the like."""
        return bound.text.startswith(f"l.{self.column} {'<' if self._value_falls else '>'}")

    def within(self, after: Place | None, before: Place | None) -> Sql:
        """That a row is after one place and before another, where they are given."""
        parts = [any_of(self.beyond(after))] if after else []
        if before:
            # What a range of the index can say is said apart, so that nothing is read behind it.
            parts.append(Sql(f"l.{self.column} {'>=' if self._value_falls else '<='} ?", (before.value,)))
            parts.append(any_of(self.reversed().beyond(before)))
        return all_of(parts)

    @property
    def _value_falls(self) -> bool:
        # "seen" ascending is the youngest first.
        return self.backwards is not (self.column == "seen")

    @property
    def _way(self) -> str:
        return " DESC" if self.backwards else ""

    @property
    def _value_way(self) -> str:
        return " DESC" if self._value_falls else ""


def parse_order(sort: str) -> Order:
    """The order that is asked for: a column, with "-" in front for descending; by name where it is "".

    Raises FilterError."""
    column = sort.removeprefix("-")
    if column and column not in SORT_COLUMNS:
        raise FilterError(f"listings cannot be sorted by {column!r}, only by {', '.join(SORT_COLUMNS)}")
    return Order(column or "name", bool(column) and sort.startswith("-"))
