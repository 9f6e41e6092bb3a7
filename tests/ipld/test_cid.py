"""Keys and CIDs, against plain models of Go's."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from betar_tui.errors import DecodeError
from betar_tui.ipld import cid
from betar_tui.replica import keys


def go_path_clean(path: str) -> str:
    """Go's path.Clean, from its documentation: four rules, applied until nothing changes."""
    parts = path.split("/")
    rooted = path.startswith("/")
    changed = True
    while changed:
        changed = False
        for i, part in enumerate(parts):
            if part in ("", "."):
                del parts[i]
            elif part == ".." and i and parts[i - 1] != "..":
                del parts[i - 1 : i + 1]
            elif part == ".." and i == 0 and rooted:
                del parts[0]
            else:
                continue
            changed = True
            break
    return ("/" if rooted else "") + "/".join(parts) or "."


def go_new_key(key: str) -> str:
    """go-datastore's NewKey."""
    return go_path_clean(key if key.startswith("/") else "/" + key)


PATHS = st.lists(st.sampled_from(["/", "//", ".", "..", "a", "b", "é", "\0", "v", " ", "...", ".a", "a."]), max_size=10)


@given(PATHS.map("".join) | st.text(max_size=20))
@example("")
@example("//")
@example("/a\0b/../c")
@example("a\0b")
@example("/../a")
@example("/a/..")
@example("/a/.")
@example("/.")
@example("/a/")
def test_keys_are_cleaned_as_go_cleans_them(key: str) -> None:
    cleaned = keys.clean(key)
    assert cleaned == go_new_key(key)
    assert keys.clean(cleaned) == cleaned


@given(st.text(max_size=20))
def test_agent_ids_come_back(agent: str) -> None:
    if not agent:
        return
    key = keys.of_agent(agent)
    assert keys.agent_id(key) == agent
    name = key.removeprefix("/agents/")
    assert name == base64.urlsafe_b64encode(agent.encode()).decode().strip("=")
    assert keys.clean(key) == key


@pytest.mark.parametrize(
    "key", ["/agents", "/agents/", "/agent/YQ", "/agents/YQ/x", "/agents/YQ=", "/agents/YR", "/agents/!", "/agents/é"]
    + ["/agents/_w", "/agents/Y", "agents/YQ", "/agents/YQ==", "/agents/Y\nQ", "/x/agents/YQ"]
)  # fmt: skip
def test_keys_that_are_not_a_listings(key: str) -> None:
    assert keys.agent_id(key) is None


@given(st.text(max_size=8))
def test_no_key_makes_agent_id_raise(name: str) -> None:
    keys.agent_id("/agents/" + name)


@given(PATHS.map("".join).map(keys.clean), PATHS.map("".join).map(keys.clean))
@example("/a", "/ab")
@example("/a", "/a/b")
@example("/a", "/a")
@example("/", "/a")
def test_a_prefix_covers_what_is_below_it(prefix: str, key: str) -> None:
    low, high = keys.span(prefix)
    inside = key.startswith(prefix.rstrip("/") + "/")
    assert (low <= key < high) is inside
    assert (low.encode() <= key.encode() < high.encode()) is inside


@given(st.binary(max_size=100))
def test_cids_come_back(block: bytes) -> None:
    name = cid.of(block)
    assert name == b"\x01\x70\x12\x20" + hashlib.sha256(block).digest()
    assert cid.of_raw(block) == b"\x01\x55\x12\x20" + name[4:]
    assert cid.from_str(cid.to_str(name)) == name
    assert cid.to_str(name).startswith("bafybei")
    assert cid.normalise(name) == cid.normalise(name[2:]) == name
    assert cid.leading(name + block) == cid.leading(name[2:] + block) == name
    assert cid.from_element_id(cid.element_id(name)) == name
    assert len(cid.element_id(name)) == 56


CID = b"\x01\x70\x12\x20" + bytes(range(32))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        CID[:-1],
        CID + b"\0",
        CID[2:-1],
        CID[2:] + b"\0",
        cid.RAW + bytes(32),
        b"\x01\x70\x13\x40" + bytes(64),
        b"\x01\x70\x00\x04abcd",
        b"\x01\xf0\x00\x12\x20" + bytes(32),
        b"\x02\x70\x12\x20" + bytes(32),
        b"\x01\x70\x12\x1f" + bytes(31),
    ],
)
def test_bytes_that_are_not_the_cid_of_a_delta(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        cid.normalise(raw)


@pytest.mark.parametrize("raw", [b"", CID[:-1], CID[2:-1], cid.RAW + bytes(40), b"\x01\x70\x13\x40" + bytes(64)])
def test_bytes_that_do_not_start_with_the_cid_of_a_delta(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        cid.leading(raw)


@given(st.text(max_size=80) | st.text(alphabet="abcdefghij234567", max_size=70).map(lambda text: "b" + text))
@example("bé")
@example("bafybei")
@example("b1")
def test_any_text_is_a_cid_or_a_decode_error(text: str) -> None:
    try:
        name = cid.from_str(text)
    except DecodeError:
        return
    assert len(name) == 36


@given(st.text(max_size=60) | st.text(alphabet="CIQABZ27=/", min_size=50, max_size=58))
@example("/" + "é" * 55)
@example("/CIQ" + "A" * 51 + "B")
def test_any_text_is_an_element_id_or_none(text: str) -> None:
    name = cid.from_element_id(text)
    assert name is None or cid.element_id(name) == "/" + text.strip("/")


def test_an_element_id_is_not_guessed() -> None:
    text = cid.element_id(CID)
    assert cid.from_element_id(text.lower()) is None
    assert cid.from_element_id(text[:-1]) is None
    assert cid.from_element_id(text + "A") is None
    # The last character carries four bits only; another way to write them names nothing.
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    other = text[:-1] + last[last.index(text[-1]) ^ 1]
    assert cid.from_element_id(other) is None
