"""Markdown from the network: neutralised text stays so, and no text is large enough to stop the interface."""

from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from textual.widgets import Markdown

MAX_BLOCKS = 60
"""Maximum paragraphs, list items and table cells that are laid out: each is a widget, and hundreds take seconds."""


class LiteralParser(MarkdownIt):
    """A parser that shows HTML, entities and addresses of links as they were written.

    Entities (`&#x202e;`) and the escapes of an address (`%1b`) would otherwise be decoded into characters that
    `neutralise` has removed, and a name in punycode into letters that look like others."""

    def __init__(self) -> None:
        super().__init__("gfm-like", {"html": False})
        self.disable("entity")
        self.core.ruler.push("addresses", _show_addresses)

    def normalizeLinkText(self, link: str) -> str:
        """The text of a bare link."""
        return link


def _show_addresses(state: StateCore) -> None:
    """Write the address of each link and picture after its text, unless it is the text."""
    for token in state.tokens:
        if token.type == "inline":
            token.children = list(_with_addresses(token.children or []))


def _with_addresses(tokens: Sequence[Token]) -> Iterator[Token]:
    href, seen, bare = "", "", False
    for token in tokens:
        address = ""
        if token.type == "link_open":
            href, seen, bare = str(token.attrs.get("href", "")), "", token.info == "auto"
        elif token.type in ("text", "code_inline"):
            seen += token.content
        elif token.type == "image":
            address = str(token.attrs.get("src", ""))
        elif token.type == "link_close" and seen != href and not (bare and seen in href):
            address = href
        yield token
        if address:
            yield Token("text", "", 0, content=f" ({address})")


class SafeMarkdown(Markdown):
    """Shows neutralised text; links are posted as messages, never followed."""

    def __init__(self, text: str) -> None:
        super().__init__(text, parser_factory=LiteralParser, open_links=False)


def shortened(text: str, most: int = MAX_BLOCKS) -> str:
    """The first `most` blocks of a Markdown text, cut between lines."""
    line = blocks = 0
    for token in LiteralParser().parse(text):
        if token.map is not None and token.nesting >= 0:
            line = token.map[0]
        blocks += token.block and token.nesting >= 0 and token.type != "inline"
        if blocks > most:
            return "\n".join(text.split("\n")[:line])
    return text
