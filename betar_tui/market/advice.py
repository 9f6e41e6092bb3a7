"""What a filter that finds nothing was perhaps meant to say, and how that is written. Pure; texts are as they were given."""

from betar_tui.errors import FilterError
from betar_tui.market.filter import begins_path, parse


def advice(text: str) -> str:
    """A sentence for a filter of which nothing is found, without a capital and a full stop; "" for one without words."""
    try:
        words = [term.value for term in parse(text).terms if term.kind == "word" and not term.negated]
    except FilterError:
        return ""
    return next(filter(None, (_meant(word, words) for word in words)), "") or (_elsewhere(words[0]) if words else "")


def _meant(word: str, words: list[str]) -> str:
    at = words.index(word)
    following = words[at + 1 : at + 2]
    key, equals, value = word.partition("=")
    if word == "not" and following:
        return f"to leave out what has {following[0]}, write !{following[0]}"
    if word in ("and", "&&", "&") and following:
        return f"without {word} it looks for both words as well: every word must be there"
    if word in ("||", "|") and at and following:
        return f"for one or the other write or: {words[at - 1]} or {following[0]}"
    if begins_path(word):
        return f"a key of the metadata needs its value: {word if word[-1] != '.' else 'meta.KEY'}:VALUE"
    if equals and key.isidentifier() and value:
        return f"for a key of the metadata write meta.{key}:{value}"
    return ""


def _elsewhere(word: str) -> str:
    return f"words are looked for in name, description and seller; for metadata write tag:{word} or meta.KEY:{word}"
