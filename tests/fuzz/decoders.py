"""Every decoder of bytes from outside: its samples, its largest input, and the errors that it may raise."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from betar_tui import multiaddrs
from betar_tui.config import load_config
from betar_tui.control import wire
from betar_tui.errors import BetarError, ConfigError, ControlError, DecodeError, FilterError, ListingError, NetworkError
from betar_tui.ipld import car, carfile, cid, dagcbor, unixfs
from betar_tui.market import filter as filters
from betar_tui.market import listing, terms
from betar_tui.market.calls import CALLS
from betar_tui.market.fields import MAX_VALUE
from betar_tui.market.marketplace import Listing, ListingPage, Provenance
from betar_tui.market.provenance import verify
from betar_tui.market.text import neutralise, neutralise_lines
from betar_tui.p2p import addresses, identify
from betar_tui.p2p.adaptations.pubsub import MAX_RPC, _parse
from betar_tui.p2p.authorship import MAX_PAYLOAD, error_of
from betar_tui.p2p.bitswap import messages as bitswap
from betar_tui.p2p.dht import messages as dht
from betar_tui.p2p.discovery import mdns_messages as mdns
from betar_tui.p2p.duplicates import messages as duplicates
from betar_tui.p2p.reachability import messages as reachability
from betar_tui.replica import decode_broadcast, delta, keys, node, outline
from betar_tui.replica.facts import Winner
from betar_tui.sync.dagsync import messages as dagsync
from tests.fuzz import corpus
from tests.fuzz.mutation import MAX_SMALL, Form

KEY_OF_AGENT = keys.of_agent(corpus.AGENT)
DAG_PB = cid.of(b"")
PIECE = 4096
"""Bytes that a reader of archives is fed at a time."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """`run` decodes an input of at most `limit` bytes and raises nothing but `declared`."""

    name: str
    run: Callable[[bytes], object]
    samples: Callable[[], Sequence[bytes]]
    form: Form
    limit: int
    declared: tuple[type[BetarError], ...] = (DecodeError,)


def _node(raw: bytes) -> None:
    decoded = node.decode_verified(DAG_PB, raw)
    if len(raw) > MAX_SMALL:  # what follows would be timed as well
        return
    assert outline(raw)[0] == decoded.links == node.links_of(raw)
    assert node.is_delta(raw) == decoded.is_delta
    node.looks_like_file(raw)


def _delta(raw: bytes) -> None:
    decoded = delta.decode(raw, 0, len(raw))
    if len(raw) > MAX_SMALL:
        return
    assert delta.priority_of(raw, 0, len(raw)) == decoded.priority
    assert delta.says_something(raw, 0, len(raw)) == decoded.says_something


def _archive(raw: bytes) -> None:
    reader = car.CarReader()
    for at in range(0, len(raw), PIECE):
        for _ in reader.feed(raw[at : at + PIECE]):
            pass


def _archive_file(raw: bytes) -> None:
    reader = carfile.CarFileReader()
    for at in range(0, len(raw), PIECE):
        for _ in reader.feed(raw[at : at + PIECE]):
            pass
    reader.is_whole()


def _cbor(raw: bytes) -> None:
    dagcbor.load_map(raw)
    if len(raw) > MAX_SMALL:
        return
    for decode in (dagsync.decode_trailer, dagsync.decode_request):
        with suppress(DecodeError):
            decode(raw)


def _listing(raw: bytes) -> None:
    _shown(listing.decode(KEY_OF_AGENT, Winner(1, raw, DAG_PB), 1.0, corpus.PEER, Provenance.UNSIGNED))


def _shown(found: Listing) -> None:
    """What is done with a listing before it is seen."""
    terms.search_text(found)
    for text in (found.name, found.description, found.seller_id, *found.addrs[:64]):
        safe = neutralise(text, 200)
        assert neutralise(safe) == safe


def _signature(raw: bytes) -> None:
    fields = listing.parse_value(raw)
    assert verify(fields, str(fields.get("id")), corpus.PEER) in Provenance
    listing.content_hash(fields)


def _text(raw: bytes) -> None:
    text = raw.decode(errors="surrogateescape")
    assert "\x1b" not in neutralise(text)
    neutralise_lines(text)


def _multiaddr(raw: bytes) -> None:
    text = raw.decode(errors="replace")
    addresses.is_dialable(text)
    multiaddrs.is_path(text)
    multiaddrs.ip_of(text)
    addresses.with_peer(text.split()[:64], corpus.PEER)
    addresses.worth_dialling(text.split(), [text])
    addresses.split_peer(text)


def _identify(raw: bytes) -> None:
    identify.parse(raw, corpus.PEER)


def _rpc(raw: bytes) -> None:
    for message in _parse(raw).publish[:8]:
        error_of(message)


def _mdns(raw: bytes) -> None:
    for record in mdns.decode(raw).records:
        mdns.peer_in(record.text, True, mdns.moved_to(record.text, "10.0.0.2"))


def _lookup(raw: bytes) -> None:
    message = dht.decode(raw)
    for peer in (*message.closer, *message.providers):
        for address in peer.addrs:
            dht.tcp_address(address)


def _reachability(raw: bytes) -> None:
    with suppress(DecodeError):
        reachability.decode_request(raw)
    reachability.decode_response(raw)


def _filter(raw: bytes) -> None:
    text = raw.decode(errors="replace")
    filters.unfinished(text)
    found = filters.parse(text)
    found.matches_text(_example(), "optical letters", 2.0)


@cache
def _example() -> Listing:
    value = Winner(1, corpus.listings()[0], DAG_PB)
    return listing.decode(KEY_OF_AGENT, value, 1.0, corpus.PEER, Provenance.UNSIGNED)


@cache
def _directory() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


def _config(raw: bytes) -> None:
    (_directory() / "config.toml").write_bytes(raw)
    load_config(_directory(), {})


def _control(raw: bytes) -> None:
    message = wire.message(raw)
    given = message.get("params")
    call = CALLS.get(str(message.get("method")))
    if call is not None and isinstance(given, dict):
        for name, value in given.items():
            if name in call.parameters:
                wire.typed(call.parameters[name], value)
    wire.typed(ListingPage, message.get("result"))


def _file(raw: bytes) -> None:
    unixfs.parse_cid(raw.decode(errors="replace"))
    unixfs.decode_file(DAG_PB, raw)


def _texts(*texts: str) -> Callable[[], Sequence[bytes]]:
    return lambda: [text.encode() for text in texts]


def _calls() -> Sequence[bytes]:
    draft = {"name": "a", "price": 1.5, "metadata": {"a": [1]}, "addrs": ["/ip4/1.2.3.4/tcp/1"]}
    calls = {
        "publish": {"drafts": [draft]},
        "update": {"listing_id": "a", "patch": {"price": 2}},
        "listings": {"filter": "price<1"},
        "show": {"listing_id": corpus.AGENT},
    }
    asked = [{"jsonrpc": "2.0", "id": 1, "method": name, "params": given} for name, given in calls.items()]
    page = {"listings": [], "total": 1, "first": {"value": 1.0, "name": "", "number": 2}}
    return [json.dumps(each).encode() for each in (*asked, {"id": 1, "result": page})]


_SETTINGS = (
    f'listen = "/ip4/0.0.0.0/tcp/4001"\nbootstrap = ["{corpus.ADDRESSES[4]}"]\nannounce-interval = "1m30s"\n',
    'mdns = true\ndht = false\nlog-level = "debug"\nlisting-dialect = "auto"\n[interface]\ntheme = "x"\nkeys = {a = "b"}\n',
)
_FILTERS = (
    'ocr price<0.5 -seller:me "two words" OR meta.tags:a',
    "proto:x402 seen<1h meta.tags:a state:new name:é",
    'state:mine price>=1 price<=2 -"x" or "unfinished',
)

DECODERS = {
    decoder.name: decoder
    for decoder in (
        Decoder("delta", _delta, corpus.deltas, Form.PROTOBUF, cid.MAX_BLOCK),
        Decoder("node", _node, corpus.nodes, Form.PROTOBUF, cid.MAX_BLOCK),
        Decoder("broadcast", decode_broadcast, corpus.broadcasts, Form.PROTOBUF, MAX_PAYLOAD),
        Decoder("car", _archive, corpus.archives, Form.BYTES, car.MAX_SECTION),
        Decoder("car-file", _archive_file, corpus.archives, Form.BYTES, car.MAX_SECTION),
        Decoder("dag-cbor", _cbor, corpus.requests, Form.CBOR, dagsync.MAX_REQUEST),
        Decoder("file", _file, corpus.nodes, Form.PROTOBUF, unixfs.MAX_FILE_BLOCK),
        Decoder("listing", _listing, corpus.listings, Form.JSON, MAX_VALUE, (ListingError,)),
        Decoder("signature", _signature, corpus.listings, Form.JSON, MAX_VALUE, (ListingError,)),
        Decoder("text", _text, _texts("a\u1100\u1161 e\u0301 \U0001f1e6 x", "plain\nlines"), Form.TEXT, MAX_VALUE, ()),
        Decoder("multiaddr", _multiaddr, _texts(*corpus.ADDRESSES), Form.TEXT, MAX_VALUE, (NetworkError,)),
        Decoder("identify", _identify, corpus.identifies, Form.PROTOBUF, identify.MAX_MESSAGE),
        Decoder("rpc", _rpc, corpus.rpcs, Form.PROTOBUF, MAX_RPC),
        Decoder("bitswap", bitswap.decode, corpus.exchanges, Form.PROTOBUF, bitswap.MAX_MESSAGE),
        Decoder("mdns", _mdns, corpus.announcements, Form.BYTES, mdns.MAX_MESSAGE),
        Decoder("dht", _lookup, corpus.lookups, Form.PROTOBUF, dht.MAX_ANSWER),
        Decoder("reachability", _reachability, corpus.lookups, Form.PROTOBUF, 4096),
        Decoder("instances", duplicates.decode, corpus.identifies, Form.BYTES, duplicates.MAX_MESSAGE),
        Decoder("filter", _filter, _texts(*_FILTERS), Form.TEXT, 4096, (FilterError,)),
        Decoder("config", _config, _texts(*_SETTINGS), Form.TEXT, MAX_VALUE, (ConfigError,)),
        Decoder("control", _control, _calls, Form.JSON, 1 << 20, (ControlError, ListingError)),
    )
}
"""By name. Where a limit is not the sender's, as that of a filter, it is the longest that a person would write."""
