"""Markdown from the network: neutralised text stays so, and no text is large enough to stop the interface."""

from markdown_it import MarkdownIt
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

    def normalizeLinkText(self, link: str) -> str:
        """The text of a bare link."""
        return link


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
