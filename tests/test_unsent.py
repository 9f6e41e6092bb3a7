"""Drafts on the disk: what is kept comes back, and each call leaves the drafts of others alone."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.errors import DraftError
from betar_tui.unsent import keep_drafts, read_drafts

texts = st.text(st.characters(codec="utf-8") | st.sampled_from("\ud800\x00\n"), max_size=20)
changes = st.dictionaries(texts, st.none() | st.dictionaries(texts, texts, max_size=4), max_size=4)


@given(st.lists(changes, max_size=5))
def test_the_last_word_on_each_draft_is_kept(rounds):
    with tempfile.TemporaryDirectory() as folder:
        path, expected = Path(folder) / "drafts.json", {}
        for each in rounds:
            keep_drafts(path, each)
            expected.update(each)
        assert read_drafts(path) == {name: draft for name, draft in expected.items() if draft is not None}
        assert not rounds or path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"\xff", b"[]", b'{"": 1}', b'{"": {"name": 1}}', b"[" * 100_000])
def test_what_this_program_has_not_written_is_moved_aside(tmp_path, content):
    path = tmp_path / "drafts.json"
    path.write_bytes(content)
    with pytest.raises(DraftError, match="has not written"):
        read_drafts(path)
    keep_drafts(path, {"": {"name": "swift-ocr"}})
    assert json.loads(path.read_bytes()) == {"": {"name": "swift-ocr"}}
    assert (tmp_path / "drafts.json.1").read_bytes() == content


def test_a_file_that_is_too_large_is_moved_aside(tmp_path):
    path = tmp_path / "drafts.json"
    path.write_bytes(b" " * (5 << 20))
    with pytest.raises(DraftError, match="it is larger than"):
        read_drafts(path)
    keep_drafts(path, {"": {"name": "swift-ocr"}})
    assert read_drafts(path) == {"": {"name": "swift-ocr"}}
    assert (tmp_path / "drafts.json.1").stat().st_size == 5 << 20


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
def test_a_file_of_another_user_is_left_in_plain_words(tmp_path):
    path = tmp_path / "drafts.json"
    path.write_text("{}")
    os.chown(path, 54321, 54321)
    with pytest.raises(DraftError, match="cannot keep the draft in .*: it belongs to "):
        keep_drafts(path, {"": {"name": "swift-ocr"}})
    assert path.read_text() == "{}"


def test_a_draft_that_is_too_long_leaves_the_others(tmp_path):
    path = tmp_path / "drafts.json"
    keep_drafts(path, {"one": {"name": "swift-ocr"}})
    with pytest.raises(DraftError, match="shorten it"):
        keep_drafts(path, {"": {"description": "x" * (5 << 20)}})
    assert read_drafts(path) == {"one": {"name": "swift-ocr"}}


def test_a_link_to_elsewhere_stays(tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    place = tmp_path / "elsewhere" / "kept.json"
    place.write_text("{}")
    os.symlink(place, tmp_path / "drafts.json")
    keep_drafts(tmp_path / "drafts.json", {"": {"name": "swift-ocr"}})
    assert (tmp_path / "drafts.json").is_symlink()
    assert json.loads(place.read_text()) == {"": {"name": "swift-ocr"}}


def test_no_place_is_named(tmp_path):
    with pytest.raises(DraftError, match="cannot keep the draft in"):
        keep_drafts(tmp_path / "nowhere" / "drafts.json", {"": {"name": "x"}})
