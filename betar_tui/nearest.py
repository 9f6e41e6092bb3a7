"""What a mistyped word was perhaps meant to be."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], alike: float = 0.6) -> str:
    """The known word that is most like another, "" where none is `alike` enough, from 0 to 1."""
    from difflib import get_close_matches  # deferred: for mistakes alone

    return next(iter(get_close_matches(word, list(known), 1, alike)), "")
