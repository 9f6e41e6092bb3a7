"""Keys of the map: paths cleaned like go-datastore's `NewKey` does (docs/protocol.md#keys-and-identifiers)."""

import base64
import binascii

AGENTS = "/agents"
WITHDRAWN = "/withdrawn"
_STANDARD = bytes.maketrans(b"-_", b"+/")


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
    """The key of a listing: "/agents/" and the id in unpadded base64url.

    An id that no listing has, since half a character is in it, gives a key that no listing has."""
    return f"{AGENTS}/{_encoded(agent_id)}"


def agent_id(key: str) -> str | None:
    """The id of the listing with this key, or None when it is not the key of a listing."""
    return _id_below(AGENTS, key)


def of_withdrawal(agent_id: str) -> str:
    """The key of the withdrawal of a listing: "/withdrawn/" and the id as in the key of the listing."""
    return f"{WITHDRAWN}/{_encoded(agent_id)}"


def withdrawn_id(key: str) -> str | None:
    """The id of the listing that is withdrawn under this key, or None when it is not the key of a withdrawal."""
    return _id_below(WITHDRAWN, key)


def _encoded(agent_id: str) -> str:
    return base64.urlsafe_b64encode(agent_id.encode(errors="surrogatepass")).decode().rstrip("=")


def _id_below(wanted: str, key: str) -> str | None:
    prefix, _, encoded = key.rpartition("/")
    if prefix != wanted or not encoded:
        return None
    try:
        # This is lenient; the comparison below rejects every encoding but the canonical one.
        agent = binascii.a2b_base64(encoded.encode("ascii").translate(_STANDARD) + b"=" * (-len(encoded) % 4)).decode()
    except ValueError:
        return None
    return agent if f"{wanted}/{_encoded(agent)}" == key else None


def span(prefix: str) -> tuple[str, str]:
    """The half-open range of keys below `prefix`: "/a" covers "/a/b" but neither "/a" nor "/ab"."""
    base = clean(prefix).rstrip("/")
    return base + "/", base + "0"
