"""Exact documents, values and orders: what is written, key for key, and where two orders meet."""

import json
from dataclasses import replace

import pytest

from betar_tui.errors import ListingError
from betar_tui.ipld import cid, unixfs
from betar_tui.market.calls import CALLS
from betar_tui.market.compose import new_document, patched, render
from betar_tui.market.fields import BETAR_GO, DOCUMENTS
from betar_tui.market.filter import Term, parse
from betar_tui.market.marketplace import (
    Listing,
    ListingDraft,
    ListingPatch,
    Provenance,
    RepublishReason,
)
from betar_tui.market.provenance import Signer, verify
from betar_tui.market.republish import OwnListing, RepublishPolicy

BLANK = Listing("", "", 1.0, {}, "s", (), (), 0, None, Provenance.VERIFIED, False, "", 1)
SIGNER = Signer(bytes(range(32)))
ME = SIGNER.peer_id
DRAFT = ListingDraft(
    " swift ", 0.5, "Reads.", {"tier": "gold"}, ("/ip4/1.2.3.4/tcp/1",), ("/a/1", "/a/1", "/b/1"), "token-7"
)
DOCUMENT = {
    "id": f"{ME}/swift",
    "name": "swift",
    "price": 0.5,
    "metadata": {"description": "Reads.", "tier": "gold"},
    "seller_id": ME,
    "addrs": ["/ip4/1.2.3.4/tcp/1"],
    "protocols": ["/a/1", "/b/1"],
    "token_id": "token-7",
}


NOW = 2_000_000_000


def listing(name: str, **fields: str) -> Listing:
    return replace(BLANK, name=name, **fields)


def test_the_document_of_a_draft() -> None:
    document = new_document(DRAFT, ME, ())
    assert document == DOCUMENT
    plain = new_document(ListingDraft("n", 1), ME, ("/ip4/9.9.9.9/tcp/1",))
    assert plain == {
        "id": f"{ME}/n",
        "name": "n",
        "price": 1,
        "metadata": {"description": ""},
        "seller_id": ME,
        "addrs": [],
        "protocols": [],
    }
    own = ("/ip4/9.9.9.9/tcp/1",)
    assert new_document(ListingDraft("n", 1, addrs=own), ME, own)["addrs"] == []


def test_a_patch_changes_its_fields_alone() -> None:
    assert patched(DOCUMENT, ListingPatch()) == DOCUMENT
    patch = ListingPatch("new", 2.0, "Other.", {"tier": "blue", "x": 1}, ("/ip4/5.6.7.8/tcp/2",), ("/c/1",), "")
    assert patched({**DOCUMENT, "extra": [1]}, patch) == {
        **DOCUMENT,
        "name": "new",
        "price": 2.0,
        "metadata": {"description": "Other.", "tier": "blue", "x": 1},
        "addrs": ["/ip4/5.6.7.8/tcp/2"],
        "protocols": ["/c/1"],
        "token_id": "",
        "extra": [1],
    }


def test_the_value_in_documents() -> None:
    rendered = render(DOCUMENT, DOCUMENTS, SIGNER, 1_700_000_000)
    fields = json.loads(rendered.value)
    signature = fields.pop("signature")
    assert rendered.file is None
    assert fields == {**DOCUMENT, "timestamp": 1_700_000_000}
    assert signature["alg"] == "ed25519"
    assert verify({**fields, "signature": signature}, fields["id"], ME) == "verified"
    empty = render({**DOCUMENT, "addrs": []}, DOCUMENTS, SIGNER, 1, ("/ip4/9.9.9.9/tcp/1",))
    assert json.loads(empty.value)["addrs"] == ["/ip4/9.9.9.9/tcp/1"]


@pytest.mark.parametrize("pays", [True, False])
def test_the_value_and_the_metadata_file_of_go_betar(pays: bool) -> None:
    protocols = ["/x402/libp2p/1.0.0"] if pays else ["/a/1"]
    document = {**DOCUMENT, "protocols": protocols, "token_id": "", "more": 1}
    rendered = render(document, BETAR_GO, SIGNER, 1_700_000_000)
    assert rendered.file is not None
    name, block = rendered.file
    fields = json.loads(rendered.value)
    del fields["signature"]
    assert list(fields.items()) == [
        ("id", f"{ME}/swift"),
        ("name", "swift"),
        ("price", 0.5),
        ("metadata", cid.to_str(name)),
        ("sellerId", ME),
        ("addrs", ["/ip4/1.2.3.4/tcp/1"]),
        ("protocols", protocols),
        ("timestamp", 1_700_000_000),
        ("more", 1),
    ]
    assert json.loads(unixfs.decode_file(name, block)) == {
        "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1",
        "name": "swift",
        "description": "Reads.",
        "image": "",
        "services": [],
        "x402Support": pays,
        "active": True,
        "tier": "gold",
    }


def policy(fails: bool = False) -> RepublishPolicy:
    def value(document: dict[str, object], dialect: str, at: int, addrs: tuple[str, ...]) -> bytes:
        if fails:
            raise ListingError("it cannot be rendered")
        return render(document, dialect, SIGNER, at, addrs).value

    return RepublishPolicy(3600.0, value)


@pytest.mark.parametrize(
    ("age", "reason"), [(0, None), (3599, None), (3600, RepublishReason.STALE), (9999, RepublishReason.STALE)]
)
def test_a_listing_is_refreshed_from_the_interval_on(age: int, reason: RepublishReason | None) -> None:
    own = {"k": OwnListing(DOCUMENT, 1000)}
    values = {"k": render(DOCUMENT, DOCUMENTS, SIGNER, 1000).value}
    due = policy().due(own, values, {}, DOCUMENTS, (), 1000.0 + age)
    assert due == ({} if reason is None else {"k": reason})


def test_a_document_that_cannot_be_rendered_counts_as_replaced() -> None:
    own = {"k": OwnListing(DOCUMENT, 1000)}
    values = {"k": render(DOCUMENT, DOCUMENTS, SIGNER, 1000).value}
    assert policy(fails=True).due(own, values, {}, DOCUMENTS, (), 1001.0) == {"k": RepublishReason.REPLACED}


def test_a_removed_listing_is_put_back_less_and_less_often() -> None:
    own, rules, puts = {"k": OwnListing(DOCUMENT, 0)}, policy(), []
    for now in range(100):
        if rules.due(own, {}, {}, DOCUMENTS, (), float(now)):
            puts.append(now)
    assert puts == [0, 5, 15, 35, 75]
    rules.forget("k")
    assert rules.due(own, {}, {}, DOCUMENTS, (), 100.0) == {"k": RepublishReason.MISSING}


def test_a_call_knows_its_parameters_and_defaults() -> None:
    given = CALLS["listings"].arguments("x", limit=3)
    expected = {
        "query": "x",
        "sort": "",
        "limit": 3,
        "after": None,
        "before": None,
        "around": "",
        "skip": 0,
        "muted": (),
    }
    assert given == expected
    assert CALLS["publish"].arguments([DRAFT]) == {"drafts": (DRAFT,)}
    assert dict(CALLS["log"].parameters) == {"limit": int}
    assert CALLS["hold_sync"].result is None
    assert "events" not in CALLS
    with pytest.raises(TypeError):
        CALLS["show"].arguments()


@pytest.mark.parametrize("text", ["http://x.org", "https://x.org", "did:key:z6Mk"])
def test_ids_and_addresses_with_a_colon_are_words(text: str) -> None:
    assert parse(text).terms == (Term("word", text.lower()),)


def test_each_kind_of_term_judges_listings() -> None:
    x402, mcp = (replace(BLANK, protocols=(each,)) for each in ("/x402/1", "/mcp/1"))
    unsigned = replace(BLANK, provenance=Provenance.UNSIGNED, mine=True, seller_id="t", price=3.0, timestamp=NOW)
    listings = [x402, mcp, unsigned]

    def met(text: str) -> list[bool]:
        (term,) = parse(text).terms
        return [term.holds(each, "", NOW, 0.0) for each in listings]

    assert met("proto:x402") == [True, False, False]
    assert met("state:verified") == [True, True, False]
    assert met("state:unsigned") == met("state:mine") == met("price>2") == met("seller:t") == [False, False, True]
    assert met("state:stale") == [True, True, False]


@pytest.mark.parametrize("text", ["http:x", "https:x", "did:key:z6Mk", "/ip4/1.2.3.4"])
def test_what_looks_like_an_address_is_a_word(text: str) -> None:
    assert [term.kind for term in parse(text).terms] == ["word"]


def test_what_was_never_repaired_can_be_forgotten() -> None:
    RepublishPolicy(60.0, lambda *_: b"").forget("unknown")
