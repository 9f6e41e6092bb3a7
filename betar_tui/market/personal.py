"""The lists that a person keeps of others: blocked peers and muted sellers, as text and by name. Pure."""

import json
from collections.abc import Collection, Mapping

from betar_tui.errors import UnknownPeerError
from betar_tui.market.names import is_peer_id, short_form

BLOCKED, MUTED = "blocked", "muted"
"""Names of the settings in the store that hold the lists."""
MAX_ENTRIES = 10_000
"""Maximum entries of a list; of more the latest are kept."""
LATEST = 1e12
"""Unix seconds that no clock shows, past the year 30,000."""
MAX_NAMED = 3
"""Maximum ids that a message names."""
EVERY_BEGINNING = "12D3KooW"
"""The beginning of the id of every peer with an Ed25519 key."""


def read_list(text: str | None) -> dict[str, float]:
    """The ids of a list, each with the Unix seconds since when it is there. What cannot be read is left out."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {each: float(at) for each, at in found.items() if isinstance(at, int | float) and abs(at) <= LATEST}


def written_list(entries: Mapping[str, float]) -> str:
    """The list as text."""
    return json.dumps(dict(list(entries.items())[-MAX_ENTRIES:]))


def old_mutes(interface: Mapping[str, object]) -> tuple[str, ...]:
    """The sellers that the table [interface] of config.toml mutes, where versions before the lists kept them."""
    value = interface.get("muted")
    if not isinstance(value, list | tuple):
        return ()
    return tuple(dict.fromkeys(each for each in value if isinstance(each, str)))


def full_id(text: str, known: Collection[str], what: str, *, strangers: bool = True) -> str:
    """The id that a person means: one that is known, a whole peer id if it may be of a stranger, or the one known id that a
    text begins or abbreviates, as tables do: "12D3…", and the letters after it or the last ones.

    `what` says what is looked among, as in "connected peer". Raises UnknownPeerError."""
    if text in known or (strangers and is_peer_id(text)):
        return text
    head, cut, tail = text.partition("…")
    fitting = sorted(each for each in known if _fits(each, head, tail if cut else ""))
    if len(fitting) == 1 and not tail and EVERY_BEGINNING.startswith(head):
        raise UnknownPeerError(f"every peer id begins with {head!r}; give more letters")
    if len(fitting) == 1 and text:
        return fitting[0]
    if not fitting or not text:
        raise UnknownPeerError(f"{text[:80]!r} is neither a whole peer id nor the beginning of that of a {what}")
    more = f" and {len(fitting) - MAX_NAMED} more" if len(fitting) > MAX_NAMED else ""
    raise UnknownPeerError(
        f"{text[:80]!r} is the beginning of more than one id: {', '.join(fitting[:MAX_NAMED])}{more}; give more letters"
    )


def _fits(peer: str, head: str, tail: str) -> bool:
    short = short_form(peer)
    if not head:
        return bool(tail) and (peer.endswith(tail) or short.endswith(tail))
    return peer.startswith(head) and (peer.endswith(tail) or short == f"{head}…{tail}")
