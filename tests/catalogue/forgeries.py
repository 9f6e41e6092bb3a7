"""What a stranger can put into the map to speak for a seller: the table of forgeries, and what must still be shown.

The victim has three listings: `ocr`, in its second version; `gone`, withdrawn; `again`, withdrawn and published again."""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from betar_tui.market.provenance import Signer
from betar_tui.market.withdrawal import withdrawal
from betar_tui.replica import keys

NOW = 1_795_390_401
VICTIM, FORGER = Signer(b"\x05" * 32), Signer(b"\x07" * 32)
V = VICTIM.peer_id
OCR, GONE, AGAIN, CAFE = (f"{V}/{name}" for name in ("ocr", "gone", "again", "caf\u00e9"))


def fields(listing_id: str = OCR, **changed: object) -> dict[str, object]:
    """A listing, not signed."""
    plain = {
        "id": listing_id,
        "name": "x",
        "price": 5,
        "metadata": {"description": "d"},
        "seller_id": V,
        "addrs": [],
        "protocols": [],
        "timestamp": NOW,
    }
    return {**plain, **changed}


def raw(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def signed(document: Mapping[str, object], by: Signer = FORGER) -> bytes:
    return raw({**document, "signature": by.sign(document)})


FIRST, SECOND = (signed(fields(price=price, timestamp=NOW + price), VICTIM) for price in (5, 9))
OLD_GONE = signed(fields(GONE), VICTIM)
OLD_AGAIN, NEW_AGAIN = (signed(fields(AGAIN, timestamp=NOW + after, price=after), VICTIM) for after in (1, 20))
WITHDRAWAL = withdrawal(AGAIN, VICTIM, NOW + 10)
GENUINE: tuple[dict[str, bytes], ...] = (
    {keys.of_agent(OCR): FIRST, keys.of_agent(GONE): OLD_GONE, keys.of_agent(AGAIN): OLD_AGAIN},
    {keys.of_withdrawal(GONE): withdrawal(GONE, VICTIM, NOW + 10), keys.of_withdrawal(AGAIN): WITHDRAWAL},
    {keys.of_agent(OCR): SECOND, keys.of_agent(AGAIN): NEW_AGAIN},
)
"""What the victim puts, delta by delta."""
SHOWN = {OCR: 9.0, AGAIN: 20.0}
"""The prices that are to be shown as verified, by the listings' ids; everything else is not."""


@dataclass(frozen=True, slots=True)
class Forgery:
    """Values that the forger puts at a greater height, and keys of which it removes all versions."""

    name: str
    puts: Mapping[str, bytes]
    removes: tuple[str, ...] = ()


def _tampered(change: Callable[[dict[str, object]], dict[str, object]], of: bytes = SECOND) -> bytes:
    return raw(change(json.loads(of)))


def _signature(**changed: object) -> bytes:
    """The first version with another price and a changed signature."""
    document = json.loads(FIRST)
    parts = {name: each for name, each in {**document["signature"], **changed}.items() if each is not None}
    return raw({**document, "price": 0.01, "signature": parts})


def _at(listing_id: str, value: bytes) -> dict[str, bytes]:
    return {keys.of_agent(listing_id): value}


def _withdrawn(value: bytes, of: str = OCR) -> dict[str, bytes]:
    return {keys.of_withdrawal(of): value}


def _base64_key(key: str) -> str:
    """The same bytes in base64 with other bits behind."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return key[:-1] + alphabet[alphabet.index(key[-1]) ^ 1]


KEY = keys.of_agent(OCR)
NFD = unicodedata.normalize("NFD", CAFE)
OTHER_CASE = OCR.swapcase()
ALIKE = V.replace("o", "\u043e")
FORGERS_KEY = base64.b64encode(bytes(FORGER._key.verify_key)).decode()
OURS = f"{FORGER.peer_id}/x"

_MANY: dict[str, Mapping[str, bytes] | tuple[str, ...]] = {
    "another's id, well signed by the forger": _at(OCR, signed(fields(seller_id=FORGER.peer_id, timestamp=NOW + 99))),
    "a new id of another, well signed by the forger": _at(V + "/new", signed(fields(V + "/new", seller_id=FORGER.peer_id))),
    "the seller named, signed by the forger": _at(OCR, signed(fields(timestamp=NOW + 99))),
    "an older version at a greater height": _at(OCR, FIRST),
    "an older version in another spacing": _at(OCR, json.dumps(json.loads(FIRST), indent=1).encode()),
    "a withdrawn one": _at(GONE, OLD_GONE),
    "a version from before a withdrawal, published again since": _at(AGAIN, OLD_AGAIN),
    "a tombstone": (KEY,),
    "a tombstone of everything": (KEY, keys.of_agent(AGAIN)),
    "a tombstone of the withdrawal": (keys.of_withdrawal(GONE), keys.of_withdrawal(AGAIN)),
    "an unsigned copy": _at(OCR, raw(fields(price=9, timestamp=NOW + 99))),
    "an unsigned copy of a withdrawn one": _at(GONE, raw(fields(GONE, timestamp=NOW + 99))),
    "a null for a signature": _at(OCR, raw({**fields(timestamp=NOW + 99), "signature": None})),
    "a signature without a key": _at(OCR, _signature(key=None)),
    "a signature with the forger's key": _at(OCR, _signature(key=FORGERS_KEY)),
    "a key in loose base64": _at(OCR, _signature(key=str(json.loads(FIRST)["signature"]["key"]).rstrip("="))),
    "a small-order key": _at(OCR, _signature(key=base64.b64encode(bytes(32)).decode(), sig="A" * 86 + "==")),
    "alg changed": _at(OCR, _signature(alg="none")),
    "a field more in the signature": _at(OCR, _signature(price=0.01)),
    "the price changed": _at(OCR, _tampered(lambda each: {**each, "price": 0.01})),
    "the number signed as another type": _at(OCR, _tampered(lambda each: {**each, "price": 9.0})),
    "a truth value for a number": _at(OURS, _tampered(lambda each: {**each, "metadata": {"n": True}}, signed(
        fields(OURS, seller_id=FORGER.peer_id, metadata={"n": 1})))),
    "seller_id changed": _at(OCR, _tampered(lambda each: {**each, "seller_id": FORGER.peer_id})),
    "sellerId beside seller_id": _at(OCR, _tampered(lambda each: {**each, "sellerId": V})),
    "a seller abbreviated": _at("s/1", raw(fields("s/1", seller_id=f"{V[:4]}\u2026{V[-4:]}"))),
    "a seller in letters that look alike": _at("s/2", raw(fields("s/2", seller_id=ALIKE))),
    "a seller called you": _at("s/3", raw(fields("s/3", seller_id="you"))),
    "the victim as seller, the id in nobody's name space": _at("s/4", raw(fields("s/4"))),
    "the id in other case": _at(OTHER_CASE, signed(fields(OTHER_CASE, seller_id=FORGER.peer_id))),
    "the id in letters that look alike": _at(f"{ALIKE}/ocr", signed(fields(f"{ALIKE}/ocr", seller_id=FORGER.peer_id))),
    "the id with a part behind": _at(f"{OCR}/x", signed(fields(f"{OCR}/x", seller_id=FORGER.peer_id))),
    "the id in another form of Unicode": _at(NFD, signed(fields(CAFE, seller_id=FORGER.peer_id))),
    "the id with its slash encoded": _at(f"{V}%2Focr", signed(fields(f"{V}%2Focr", seller_id=FORGER.peer_id))),
    "the value under another id's key": _at(V + "/else", SECOND),
    "the key in loose base64": {_base64_key(KEY): FIRST},
    "the key with padding": {f"{KEY}=": FIRST},
    "the key with slashes": {KEY.replace("/agents/", "/agents//"): FIRST},
    "the key below the key": {f"{KEY}/x": FIRST},
    "a timestamp that is a float": _at(OCR, _tampered(lambda each: {**each, "timestamp": 1e12})),
    "a timestamp that is a truth value": _at(OCR, _tampered(lambda each: {**each, "timestamp": True})),
    "a timestamp that is a text": _at(OCR, _tampered(lambda each: {**each, "timestamp": "9999999999"})),
    "a negative timestamp": _at(OCR, _tampered(lambda each: {**each, "timestamp": -1})),
    "a timestamp of 2^64": _at(OCR, _tampered(lambda each: {**each, "timestamp": 1 << 64})),
    "an endless timestamp": _at(OCR, SECOND.replace(b'"timestamp":%d' % (NOW + 9), b'"timestamp":1e400')),
    "a later timestamp": _at(OCR, _tampered(lambda each: {**each, "timestamp": NOW + 99})),
    "a price twice, the signed one last": _at(OCR, b'{"price":0.001,' + SECOND[1:]),
    "a price twice, the signed one first": _at(OCR, SECOND[:-1] + b',"price":0.001}'),
    "a signature in disguise": _at(OCR, FIRST.replace(b'"signature"', b'"signatur\\u0065"')),
    "a price that is none": _at(OCR, SECOND.replace(b'"price":9', b'"price":NaN')),
    "a signature over a part": _at(OCR, raw({**fields(timestamp=NOW + 99), "signature": FORGER.sign({"id": OCR})})),
    "a field added after signing": _at(OCR, _tampered(lambda each: {**each, "more": 1})),
    "no JSON": _at(OCR, b'{"signature"'),
    "a withdrawal by the forger": _withdrawn(withdrawal(OCR, FORGER, NOW + 99)),
    "a withdrawal in the victim's name": _withdrawn(signed({"id": OCR, "seller_id": V, "timestamp": NOW + 99})),
    "a withdrawal from the far future": _withdrawn(withdrawal(OCR, FORGER, (1 << 63) - 1)),
    "a withdrawal that is not signed": _withdrawn(raw({"id": OCR, "seller_id": V, "timestamp": NOW + 99})),
    "a withdrawal of another id": _withdrawn(WITHDRAWAL),
    "a withdrawal from before it was published again": _withdrawn(WITHDRAWAL, AGAIN),
    "a withdrawal under the listing's key": _at(OCR, withdrawal(OCR, FORGER, NOW + 99)),
    "the listing itself as its withdrawal": _withdrawn(SECOND),
}  # fmt: skip

FORGERIES: tuple[Forgery, ...] = tuple(
    Forgery(name, {}, each) if isinstance(each, tuple) else Forgery(name, each) for name, each in _MANY.items()
)
