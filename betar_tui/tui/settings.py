"""The settings of the interface: the table [interface] of config.toml. Pure.

A setting that is not valid is reported and has its default; it never stops the interface. Nothing here knows where
settings are stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from betar_tui.errors import FilterError
from betar_tui.market.filter import parse as parse_filter
from betar_tui.market.sorting import SORT_COLUMNS
from betar_tui.market.text import neutralise
from betar_tui.tui.keymap import KeyMap, read_keys
from betar_tui.tui.themes import THEME_NAMES
from betar_tui.tui.widgets.columns import COLUMNS, DEFAULT_COLUMNS, GAPS

DENSITIES = tuple(GAPS)
MAX_FILTERS = 50
"""Maximum saved filters."""
MAX_SIDE = 1000
"""Maximum columns that the panes at the right may be given."""
MAX_FILTER_NAME = 40
"""Maximum characters of the name of a saved filter."""


@dataclass(frozen=True, slots=True)
class InterfaceSettings:
    """All settings. `sort` is a column, with "-" before it for the descending order; `side` is the width of the panes at
    the right in cells, 0 for one that follows from the terminal's; `muted` are ids of sellers, a copy
    of the peer's list for the first page; `filters` are saved filters by their names."""

    theme: str = "betar-dark"
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    sort: str = "name"
    density: str = DENSITIES[0]
    side: int = 0
    muted: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)
    keys: KeyMap = field(default_factory=KeyMap)

    @classmethod
    def from_mapping(cls, table: Mapping[str, object]) -> "tuple[InterfaceSettings, tuple[str, ...]]":
        """Parse a table; returns the settings and the problems, in words."""
        read: dict[str, Any] = {}
        problems: list[str] = []
        for name, value in table.items():
            if name not in _PARSERS:
                problems.append(f"{name}: there is no such setting; there are {', '.join(_PARSERS)}")
                continue
            read[name], found = _PARSERS[name](value)
            problems += found
        return cls(**read), tuple(neutralise(f"[interface] {problem}", 300) for problem in problems)

    @property
    def order(self) -> tuple[str, bool]:
        """The column to sort by, and whether the order descends."""
        return self.sort.removeprefix("-"), self.sort.startswith("-")

    def difference(self, old: "InterfaceSettings") -> dict[str, object]:
        """The settings that differ from `old`, by name; of filters and keys those that differ, None for one that is gone."""
        names = [setting.name for setting in fields(self) if setting.name not in ("keys", "filters")]
        changed: dict[str, object] = {
            name: getattr(self, name) for name in names if getattr(self, name) != getattr(old, name)
        }
        tables = {"filters": (old.filters, self.filters), "keys": (old.keys.changed, self.keys.changed)}
        for name, (before, after) in tables.items():
            named = {**before, **after}
            if differing := {each: after.get(each) for each in named if after.get(each) != before.get(each)}:
                changed[name] = differing
        return changed


class Settings:
    """The settings in force. Subscribers are called with the old and the new ones after each change."""

    def __init__(self, now: InterfaceSettings | None = None) -> None:
        self.now = now or InterfaceSettings()
        self._subscribers: list[Callable[[InterfaceSettings, InterfaceSettings], None]] = []

    def subscribe(self, subscriber: Callable[[InterfaceSettings, InterfaceSettings], None]) -> None:
        """Call `subscriber(old, new)` after every change."""
        self._subscribers.append(subscriber)

    def change(self, **changes: Any) -> None:
        """Change these settings together."""
        old, self.now = self.now, replace(self.now, **changes)
        if self.now != old:
            for subscriber in self._subscribers:
                subscriber(old, self.now)

    def toggle_column(self, key: str) -> None:
        """Show or hide a column. The name cannot be hidden."""
        columns = list(self.now.columns)
        if key in columns[1:]:
            columns.remove(key)
        elif key not in columns:
            known = list(COLUMNS)
            later = [column for column in columns if known.index(column) > known.index(key)]
            columns.insert(columns.index(later[0]) if later else len(columns), key)
        self.change(columns=tuple(columns))

    def mute(self, seller_id: str, muted: bool = True) -> None:
        """Mute or unmute a seller."""
        others = tuple(muted_id for muted_id in self.now.muted if muted_id != seller_id)
        self.change(muted=(*others, seller_id) if muted else others)

    def save_filter(self, name: str, text: str) -> str | None:
        """Save a filter, in place of another of that name; returns the name that it has now, None if too many are saved."""
        name = _filter_name(name)
        if name not in self.now.filters and len(self.now.filters) >= MAX_FILTERS:
            return None
        self.change(filters={**self.now.filters, name: text})
        return name

    def forget_filter(self, name: str) -> None:
        """Forget a saved filter."""
        self.change(filters={each: text for each, text in self.now.filters.items() if each != name})


def _filter_name(name: str) -> str:
    # config.toml takes a dash for an underscore, as the options do.
    return " ".join(name.split()).replace("_", "-")[:MAX_FILTER_NAME].strip()


_Parsed = tuple[Any, list[str]]


def _one_of(name: str, choices: tuple[str, ...], default: str) -> Callable[[object], _Parsed]:
    def parse(value: object) -> _Parsed:
        if value in choices:
            return value, []
        return default, [f"{name}: {default} is used, for {value!r} is not one of {', '.join(choices)}"]

    return parse


def _columns(value: object) -> _Parsed:
    if not isinstance(value, list | tuple) or not value:
        return DEFAULT_COLUMNS, [f"columns: {value!r} is not a list of names; the usual columns are shown"]
    names = tuple(COLUMNS)  # not the dictionary: a value may be unhashable
    problems = [
        f"columns: there is no column {name!r}; there are {', '.join(names)}" for name in value if name not in names
    ]
    known = dict.fromkeys(name for name in value if name in names)
    if not known:
        return DEFAULT_COLUMNS, problems
    return ("name", *(name for name in known if name != "name")), problems


def _side(value: object) -> _Parsed:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SIDE:
        return value, []
    return 0, [f"side: {value!r} is not a number of columns from 0 to {MAX_SIDE}; it follows from the terminal's width"]


def _muted(value: object) -> _Parsed:
    if isinstance(value, list | tuple) and all(isinstance(seller_id, str) for seller_id in value):
        return tuple(dict.fromkeys(value)), []
    return (), [f"muted: {value!r} is not a list of peer ids; nobody is muted"]


def _filters(value: object) -> _Parsed:
    if not isinstance(value, Mapping):
        return {}, [f"filters: {value!r} is not a table; write [interface.filters] above them"]
    found: dict[str, str] = {}
    problems = []
    for name, text in value.items():
        try:
            if not isinstance(text, str):
                raise FilterError(f"{text!r} is not a text", 0)
            parse_filter(text)
        except FilterError as error:
            problems.append(f"filters, {name}: it is left out: {error}")
        else:
            if kept := _filter_name(name):
                found[kept] = text
    if len(found) > MAX_FILTERS:
        problems.append(f"filters: only the first {MAX_FILTERS} are kept")
    return dict(list(found.items())[:MAX_FILTERS]), problems


def _keys(value: object) -> _Parsed:
    if isinstance(value, Mapping):
        return read_keys(value)
    return KeyMap(), [f"keys: {value!r} is not a table; write [interface.keys] above them"]


_PARSERS: dict[str, Callable[[object], _Parsed]] = {
    "theme": _one_of("theme", THEME_NAMES, "betar-dark"),
    "columns": _columns,
    "sort": _one_of("sort", (*SORT_COLUMNS, *(f"-{column}" for column in SORT_COLUMNS)), "name"),
    "density": _one_of("density", DENSITIES, DENSITIES[0]),
    "side": _side,
    "muted": _muted,
    "filters": _filters,
    "keys": _keys,
}
