"""The keys of each action: those of the table of actions, unless the settings give it others. Pure.

Two actions may share a key if they are never in force at the same time. If the settings break that rule, the error says
so and the action keeps its own keys."""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from textual.keys import KEY_NAME_REPLACEMENTS, REPLACED_KEYS, Keys, key_to_character

from betar_tui.tui.keybindings import ACTIONS, CHAINS, MOVES

WHILE_TYPING = frozenset({"next_pane", "previous_pane", "submit", "leave", "quit_everywhere", "suspend"})
"""Actions that work while a person types: a key that writes a character would never reach the input."""

_NAMES = {
    "escape": "Esc",
    "enter": "⏎",
    "tab": "Tab",
    "shift+tab": "⇧Tab",
    "space": "Space",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "backspace": "⌫",
    "delete": "Del",
}
_MODIFIERS = {"ctrl": "^", "shift": "⇧", "alt": "Alt+"}
_KNOWN = frozenset(key.value for key in Keys) | frozenset(REPLACED_KEYS)
_DEFAULTS = {action.id: action.keys for action in (*ACTIONS, *MOVES)}


def key_name(key: str) -> str:
    """A key as it is shown: ^q, Esc, F5, ?."""
    if key in _NAMES:
        return _NAMES[key]
    *modifiers, last = key.split("+")
    name = _NAMES.get(last) or _character(last) or last
    if len(name) > 1 and name.startswith("f") and name[1:].isdigit():
        name = name.upper()
    return "".join(_MODIFIERS.get(modifier, f"{modifier}+") for modifier in modifiers) + name


@dataclass(frozen=True, slots=True)
class KeyMap:
    """The keys in force. `changed` has those of the settings: action id to keys, separated by commas."""

    changed: Mapping[str, str] = field(default_factory=dict)

    def keys(self, action_id: str) -> tuple[str, ...]:
        """All keys of an action."""
        return tuple(self.changed.get(action_id, _DEFAULTS.get(action_id, "")).split(","))

    def name(self, action_id: str) -> str:
        """Its first key, as it is shown."""
        return key_name(self.keys(action_id)[0])

    def names(self, action_id: str) -> str:
        """All of its keys, as they are shown."""
        return " ".join(key_name(key) for key in self.keys(action_id))

    def with_key(self, action_id: str, key: str) -> "tuple[KeyMap, str]":
        """The keys with another one for an action, "" for its usual ones; and why it cannot have that, "" if it can."""
        others = {each: keys for each, keys in self.changed.items() if each != action_id}
        if not key or key == _DEFAULTS[action_id]:
            # Another action may have been given the usual key meanwhile.
            clash = next((clash for clash in _clashes({**others, action_id: _DEFAULTS[action_id]})), None)
            return (self, _clash_text(clash, action_id)) if clash else (KeyMap(others), "")
        if problem := _problem(action_id, key):
            return self, problem
        changed = {**others, action_id: _normal(key)}
        for clash in _clashes(changed):
            return self, _clash_text(clash, action_id)
        return KeyMap(changed), ""


def _clash_text(clash: tuple[str, str, str], action_id: str) -> str:
    one, other, key = clash
    return f"{key_name(key)} is the key of {other if one == action_id else one}"


def read_keys(table: Mapping[str, object]) -> tuple[KeyMap, list[str]]:
    """The keys in a table of the settings, by action id, and an error message for each that is refused."""
    changed: dict[str, str] = {}
    problems: list[str] = []
    for action_id, value in table.items():
        if action_id not in _DEFAULTS:
            problems.append(f"keys: there is no action {action_id!r}; the settings screen names all")
        elif problem := _problem(action_id, value):
            problems.append(f"keys, {action_id}: {problem}; it keeps {KeyMap().names(action_id)}")
        else:
            changed[action_id] = ",".join(_normal(key) for key in _split(str(value)))
    while clash := next(_clashes(changed), None):
        action_id, other, key = clash
        problems.append(
            f"keys, {action_id}: {key_name(key)} is the key of {other} as well; it keeps {KeyMap().names(action_id)}"
        )
        del changed[action_id]
    return KeyMap(changed), problems


def _problem(action_id: str, value: object) -> str:
    if not isinstance(value, str) or not (keys := _split(value)):
        return f'{value!r} is not a text of keys, such as "n" or "f2,ctrl+n"'
    for key in keys:
        if not _is_key(key):
            return f"there is no key {key!r}"
        character = _character(_normal(key))
        if action_id in WHILE_TYPING and character is not None and character.isprintable():
            return f"{key_name(_normal(key))} would be typed into the field; choose a key that writes nothing"
    return ""


def _split(keys: str) -> list[str]:
    if keys.strip() == ",":
        return ["comma"]
    return [key.strip() for key in keys.split(",") if key.strip()]


def _is_key(key: str) -> bool:
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    if not set(modifiers) <= set(_MODIFIERS):
        return False
    return key in _KNOWN or last in _KNOWN or _character(last) is not None


def _character(key: str) -> str | None:
    return key_to_character(REPLACED_KEYS.get(key, key))


def _normal(key: str) -> str:
    """The key as Textual names it."""
    if len(key) != 1 or key.isalnum():
        return key
    name = unicodedata.name(key, "").lower().replace("-", "_").replace(" ", "_")
    return KEY_NAME_REPLACEMENTS.get(name, name) or key


def _clashes(changed: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Each changed action that shares a key with another one in force at the same time: both ids and the key."""
    keys = KeyMap(changed)
    for chain in CHAINS:
        here = list(dict.fromkeys(action.id for action in (*ACTIONS, *MOVES) if set(action.scopes) & set(chain)))
        for action_id in reversed(list(changed)):
            if action_id not in here:
                continue
            for other in here:
                shared = set(keys.keys(action_id)) & set(keys.keys(other))
                if other != action_id and shared:
                    yield action_id, other, min(shared)
