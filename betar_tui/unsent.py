"""What was typed into forms and not sent, as a file in the data directory: the texts of the fields by listing id.

Each call changes the drafts that it names and leaves the others, so that two windows can keep theirs."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from betar_tui.errors import DraftError
from betar_tui.files.directories import locked_directory
from betar_tui.files.plain import read_own
from betar_tui.files.replacing import replace, rotate
from betar_tui.files.rules import RefusedError, explain

_MOST = 4 << 20
"""Maximum bytes of the file."""
_LOCKED_WITHIN = 2.0
"""Seconds to wait for the lock of the directory."""

Drafts = dict[str, dict[str, str]]


def read_drafts(path: Path) -> Drafts:
    """The drafts that are kept. Raises DraftError."""
    try:
        content = read_own(path, _MOST)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DraftError(explain(error, f"cannot read the drafts in {path}", "check who may read them")) from error
    drafts = _parsed(content)
    if drafts is None:
        raise DraftError(f"cannot read the drafts in {path}: this program has not written them; look at them there")
    return drafts


def keep_drafts(path: Path, changes: Mapping[str, Mapping[str, str] | None]) -> None:
    """Keep drafts, or forget those that are None.

    A file of this user's that has other things in it, or too much, is moved aside. Raises DraftError, also for a file of
    another user, which is left."""
    try:
        with locked_directory(path.parent, _LOCKED_WITHIN):
            kept = _kept(path)
            kept.update({name: dict(draft) for name, draft in changes.items() if draft is not None})
            for name in (name for name, draft in changes.items() if draft is None):
                kept.pop(name, None)
            content = json.dumps(kept, ensure_ascii=True, indent=1).encode()
            if len(content) > _MOST:
                raise DraftError(
                    f"cannot keep the draft in {path}: it would be larger than {_MOST >> 20} MiB; shorten it"
                )
            replace(path, content)
    except OSError as error:
        raise DraftError(explain(error, f"cannot keep the draft in {path}", "check who may write to it")) from error


def _kept(path: Path) -> Drafts:
    with suppress(FileNotFoundError):
        try:
            drafts = _parsed(read_own(path, _MOST))
        except RefusedError:
            drafts = None
        if drafts is not None:
            return drafts
        rotate(path, path.with_name(f"{path.name}.1"))  # which refuses another user's
    return {}


def _parsed(content: bytes) -> Drafts | None:
    """The drafts in a file, None if it is another one."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    texts = isinstance(found, dict) and all(
        isinstance(draft, dict) and all(isinstance(text, str) for text in draft.values()) for draft in found.values()
    )
    return found if texts else None
