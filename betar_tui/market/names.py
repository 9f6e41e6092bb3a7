"""Peer ids as text, and the name spaces of listings (docs/protocol.md#provenance). Pure.

A peer id is written in base58. That of an Ed25519 key contains the key; that of another kind contains its key or a hash
of it. `<peer id>/<name>` is in the name space of that peer: nobody else has a say there."""

from functools import lru_cache

from betar_tui.errors import UnknownListingError

_DIGITS = {letter: n for n, letter in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
MAX_PEER_ID = 64
"""Maximum letters of a peer id: decoding takes time by the square of the length. The longest in use has 53."""

ED25519_PREFIX = b"\x00\x24\x08\x01\x12\x20"
"""An identity multihash of the protobuf PublicKey {Type: Ed25519, Data: 32 bytes}; the key follows."""
_FORMS = (
    (ED25519_PREFIX, 32),
    (b"\x00\x25\x08\x02\x12\x21", 33),  # the same of a Secp256k1 key
    (b"\x12\x20", 32),  # the SHA-256 of a longer key
)

_SAME_LETTERS = {
    form: same for (form, _), same in zip(_FORMS, (len("12D3KooW"), len("16Uiu2HA"), len("Qm")), strict=True)
}
"""Number of letters with which all peer ids of a form begin, or nearly all."""


def is_peer_id(text: str) -> bool:
    """Whether a text is a peer id, letter by letter: neither an abbreviation nor one with other letters that look alike."""
    return _decoded(text) is not None


def name_space(listing_id: str) -> str:
    """The peer in whose name space a listing id is, "" for an id that is in nobody's."""
    owner, slash, _ = listing_id.partition("/")
    return owner if slash and is_peer_id(owner) else ""


def unknown_listing(text: str) -> UnknownListingError:
    """The error about a listing that is not there, by its id, or by a text that may be the name of one too."""
    called = "id" if name_space(text) else "id or name"
    return UnknownListingError(f"no listing has the {called} {text!r}; betar-tui list shows them")


def _decoded(text: str) -> bytes | None:
    return _decode(text) if 0 < len(text) <= MAX_PEER_ID else None


@lru_cache(4096)
def _decode(text: str) -> bytes | None:
    """The bytes of a peer id. Base58 has one text for each: no leading digit is left out, none is added."""
    number = 0
    for letter in text:
        digit = _DIGITS.get(letter)
        if digit is None:
            return None
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    raw = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    return raw if any(raw.startswith(form) and len(raw) == len(form) + size for form, size in _FORMS) else None


def short_form(peer_id: str) -> str:
    """A peer id in thirteen letters, with eight from where ids begin to differ: finding a key with the same eight takes some
    10^14 tries. "" for a text that is not a peer id, which may look like any."""
    decoded = _decoded(peer_id)
    if decoded is None:
        return ""
    form = next(form for form, _ in _FORMS if decoded.startswith(form))
    same = _SAME_LETTERS[form]
    return f"{peer_id[:4]}…{peer_id[same : same + 8]}"
