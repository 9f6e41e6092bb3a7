import subprocess
import sys
from dataclasses import fields

import pytest

from betar_tui.market.fields import BETAR_GO, DOCUMENTS, ENTERED, FIELDS, IN_METADATA, STORED, InvalidValue, Kind
from betar_tui.market.marketplace import Listing, ListingDraft, ListingPatch
from betar_tui.multiaddrs import is_path, split_peer, without_loopback


def test_the_table_and_the_dataclasses_have_the_same_fields():
    assert {field.name for field in FIELDS} <= {field.name for field in fields(Listing)}
    for entered in (ListingDraft, ListingPatch):
        assert {field.name for field in fields(entered)} == {field.name for field in ENTERED}
    assert set(FIELDS) == {*STORED, *IN_METADATA}


@pytest.mark.parametrize("dialect", [DOCUMENTS, BETAR_GO])
def test_the_names_in_a_dialect_are_different(dialect):
    assert len({field.wire_name(dialect) for field in STORED}) == len(STORED)


def test_what_a_person_enters_has_a_label_and_help():
    assert all(field.label and field.hint and field.option and all(field.option) for field in ENTERED)
    numbers = [field for field in ENTERED if field.kind in (Kind.NUMBER, Kind.INTEGER)]
    assert all(field.missing for field in numbers if field.required)


def test_a_new_field_is_written_read_and_entered_by_its_entry_in_the_table(tmp_path):
    command = [sys.executable, "-m", "tests.market.new_fields", str(tmp_path / "listings.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["می\u200cخواهم", "क्\u200dष", "👨\u200d👩\u200d👧 helper", "☀\ufe0f weather"])
def test_a_name_may_have_the_joiners_of_its_script(name):
    (field,) = (field for field in FIELDS if field.name == "name")
    assert field.validate(name) == name
    assert field.objection(name) == ""


@pytest.mark.parametrize("name", ["swift\u200d-ocr", "a\u200cb", "می\u200c\u200cخواهم", "👨\u200d", "x\u200b"])
def test_a_joiner_that_joins_nothing_is_refused_in_a_name(name):
    (field,) = (field for field in FIELDS if field.name == "name")
    with pytest.raises(InvalidValue) as caught:
        field.validate(name)
    assert caught.value.hint == "without control or invisible characters"


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("/ip4/192.0.2.1/tcp/1/p2p/12D3", ("/ip4/192.0.2.1/tcp/1", "12D3")),
        ("/ip4/192.0.2.1/tcp/1/p2p/12D3/p2p-circuit/p2p/12D4", ("/ip4/192.0.2.1/tcp/1/p2p/12D3/p2p-circuit", "12D4")),
        ("/ip4/192.0.2.1/tcp/1", ("/ip4/192.0.2.1/tcp/1", "")),
        ("/ip4/192.0.2.1/tcp/1/p2p/", ("/ip4/192.0.2.1/tcp/1", "")),
        ("/p2p/12D3/p2p-circuit", ("/p2p/12D3/p2p-circuit", "")),
        ("", ("", "")),
    ],
)
def test_the_peer_at_the_end_of_a_multiaddr(address, parts):
    assert split_peer(address) == parts


def test_paths_and_loopback():
    assert is_path("/x402/libp2p/1.0.0")
    assert not any(map(is_path, ("", "x402", "/a b", "/a\x1b", "/a\u202e")))
    local, other = "/ip4/127.0.0.1/tcp/1", "/ip4/192.0.2.1/tcp/1"
    assert without_loopback((local, other, "/ip6/::1/tcp/1")) == (other,)
    assert without_loopback([local]) == (local,)
