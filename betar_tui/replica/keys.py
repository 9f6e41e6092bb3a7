"""Keys of the replicated map: cleaned paths, as go-datastore's `NewKey` makes them (PROTOCOL 3)."""

import base64
import binascii

AGENTS = "/agents"
_STANDARD = str.maketrans("-_", "+/")


def clean(key: str) -> str:
    """One leading slash, no empty, "." or ".." parts, no slash at the end."""
    if key.startswith("/") and "//" not in key and "/." not in key and (len(key) == 1 or not key.endswith("/")):
        return key
    parts: list[str] = []
    for part in key.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def of_agent(agent_id: str) -> str:
    """The key of a listing: "/agents/" and the id in unpadded base64url."""
    return f"{AGENTS}/{base64.urlsafe_b64encode(agent_id.encode()).decode().rstrip('=')}"


def agent_id(key: str) -> str | None:
    """The listing id that a key stands for, or None when the key is no listing's."""
    prefix, _, name = key.rpartition("/")
    if prefix != AGENTS or not name:
        return None
    try:
        # Whatever this passes over, the way back does not lead there again.
        agent = binascii.a2b_base64(name.translate(_STANDARD) + "=" * (-len(name) % 4)).decode()
    except ValueError:
        return None
    return agent if of_agent(agent) == key else None


def span(prefix: str) -> tuple[str, str]:
    """The half-open range of keys below `prefix`: "/a" covers "/a/b" but neither "/a" nor "/ab"."""
    base = clean(prefix).rstrip("/")
    return base + "/", base + "0"
