"""The help: the keys, generated from the table of actions, the filter, the signs and the words; `/` searches it."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from betar_tui.choices import CURRENCY
from betar_tui.tui.context import ScreenContext
from betar_tui.tui.keybindings import SCOPE_TITLES, actions_in
from betar_tui.tui.keymap import KeyMap
from betar_tui.tui.labelled_text import folded
from betar_tui.tui.widgets.page import Page

FILTER_HELP = (
    ("ocr pdf", "both words, in name, description or seller"),
    ('"two words"', "the words together"),
    ("!beta", "leaves out what mentions it; ! turns any term around"),
    ("ocr or scan", "what stands before it or what stands after it"),
    ("price<0.5", "also <=  >  >=  =  !="),
    ("seen<2h", "new or changed since then; also <= > >=, s m h d w"),
    ("name:ocr", "the name contains it; also description: id: token:"),
    ("seller:12D3", "the seller's id contains it"),
    ("proto:x402", "one of the protocols contains it"),
    ("tag:nlp", "one of its tags"),
    ("meta.tier:x", "the value of this key of its metadata"),
    ("state:new", "verified, unsigned, mine, new, stale, muted"),
)
SIGN_HELP = (
    ("+ ~ ×", "new, changed, delisted row"),
    ("↑ ↓", "after a price: it went up, down"),
    ("✓ · ✗", "signed by its seller, unsigned, bad signature"),
    ("● ○ ◌ □ ✗", "online, no peers, starting, no network, offline"),
    ("level", "the peer holds your newest change; or 3 behind, 40s silent"),
)


WORD_HELP = (
    ("listing", "what one agent offers: name, price, description, addresses"),
    ("seller", "the peer that a listing belongs to; only what it signs counts as its word"),
    ("peer", "a running program of the market, with a key and an id 12D3…"),
    ("price", f"in {CURRENCY} for each task; what is paid is between you and the seller"),
    ("Δ, delta", "one change of the market: listings put and versions removed"),
    ("Δ 3/s", "deltas that were applied in a second, and the last seconds as bars"),
    ("put, update", "a listing that is new, one that has changed"),
    ("refresh ×4", "renewed four times with nothing changed: its seller still runs"),
    ("delist", "to take a listing of yours off the market, signed by you"),
    ("tombstone", "the mark that a version was removed; it stays, so that no peer brings it back"),
    ("replica", "the copy of the whole market that each peer keeps, this one too"),
    ("head", "a delta that no other builds on yet; two peers with the same heads have the same market"),
    ("height", "how many deltas lie below one, one on the other; the higher of two wins"),
    ("synced", "nothing that is known to exist is missing here"),
    ("wanted", "blocks that are known to exist and are not here yet"),
    ("block, CID", "a delta as bytes, and the hash that names it"),
    ("block a peer", "to have nothing to do with it: it is not dialled and not let in"),
    ("mute", "to leave out the listings of a seller; they are stored all the same"),
    ("verified", "✓ its seller has signed it"),
    ("unsigned", "· anybody may have written it; Go betar signs nothing"),
    ("stale", "not renewed for two hours: its seller may be gone"),
    ("healed", "yours, put again because another peer had removed or replaced it"),
    ("pending", "stored here, and sent as soon as a peer is connected"),
    ("seen by 2 of 3", "two of three peers have shown that they have your change"),
    ("dialect", "one of the two forms in which a listing is written: documents, or betar-go for Go peers"),
    ("topic", "the channel on which the peers of the market announce their heads"),
    ("multiaddr", "an address such as /ip4/203.0.113.7/tcp/4001/p2p/12D3…"),
    ("bootstrap", "the peers that are dialled at the start"),
    ("mDNS, DHT", "how peers are found: on the local network, and everywhere"),
)


NAME_WIDTH = 17
"""Number of cells before the meaning of a key or a word."""


class HelpScreen(ModalScreen[None]):
    """The keys by scope, the filter's grammar, the signs, the words."""

    SCOPE = ""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("w", "words", "Words"),
        Binding("escape", "close", "Close", key_display="Esc"),
        Binding("question_mark,q,f1", "close", "Close", show=False),
    ]

    def __init__(self, context: ScreenContext, scope: str) -> None:
        super().__init__()
        self._sections = help_sections(scope, context.model.keys)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue", id="help"):
            yield Input(placeholder="words to look for; Enter goes back", compact=True, id="help-search")
            with Page():
                yield Static(id="help-keys")
                yield Static(id="help-words")
            yield Button("Close (Esc)", compact=True)

    def on_mount(self) -> None:
        self.query_one(Input).display = False
        self.query_one(Page).focus()

    def on_resize(self) -> None:
        self.call_after_refresh(lambda: self._show(self.query_one(Input).value))

    def on_button_pressed(self) -> None:
        self.dismiss(None)

    def action_search(self) -> None:
        """Type words: the lines that have all of them are left."""
        field = self.query_one(Input)
        field.display = True
        field.focus()

    def action_words(self) -> None:
        """Go to the words."""
        self._leave_search()
        self.query_one("#help-words").scroll_visible(top=True, animate=False)

    def action_close(self) -> None:
        """Close the help, or leave the search."""
        if self.query_one(Input).display:
            self._leave_search()
        else:
            self.dismiss(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not isinstance(self.focused, Input) or action == "close"

    def _leave_search(self) -> None:
        field = self.query_one(Input)
        field.value, field.display = "", False
        self.query_one(Page).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._show(event.value)
        self.query_one(Page).scroll_home(animate=False)

    def _show(self, wanted: str) -> None:
        width = self.query_one(Page).scrollable_content_region.width or 76
        keys, words = (help_text(part, wanted, width) for part in (self._sections[:-1], self._sections[-1:]))
        if not keys.plain and not words.plain:
            keys = Content("Nothing here has all of these words")
        self.query_one("#help-keys", Static).update(keys)
        self.query_one("#help-words", Static).update(words)
        self.query_one("#help-keys").display = bool(keys.plain)

    def on_input_submitted(self) -> None:
        """Read what was found."""
        self.query_one(Page).focus()


Section = tuple[str, Sequence[tuple[str, str]]]
"""A title, and below it keys or words with their meanings."""


def help_sections(scope: str, keys: KeyMap) -> list[Section]:
    """All of the help: the keys, beginning with those of a scope, then the filter, the signs and, at last, the words."""
    sections: list[Section] = []
    for name in sorted(filter(SCOPE_TITLES.get, SCOPE_TITLES), key=lambda name: name != scope):
        lines = [(keys.names(action.id), action.help_in(name)) for action in actions_in(name)]
        if name == "app":
            lines.append(("^p", "Command palette: everything by name, themes too"))
        sections.append((SCOPE_TITLES[name], lines))
    return [*sections, ("Filter", FILTER_HELP), ("Signs", SIGN_HELP), ("Words", WORD_HELP)]


def help_text(sections: Sequence[Section], wanted: str = "", width: int = 76) -> Content:
    """The sections as a text of `width` cells; with words that are `wanted` only the lines that have all of them."""
    words = wanted.casefold().split()
    parts: list[tuple[str, str]] = []
    for title, lines in sections:
        found = [line for line in lines if all(word in f"{title} {line[0]} {line[1]}".casefold() for word in words)]
        if found:
            parts.append((f"{title}\n", "bold $accent"))
            for name, meaning in found:
                parts += _line(name, meaning, width)
            parts.append(("\n", ""))
    return Content.assemble(*parts)


def _line(name: str, meaning: str, width: int) -> Iterator[tuple[str, str]]:
    """A name and what it means, which goes on below itself where one line has no room."""
    label = f"  {name:<{NAME_WIDTH - 3}} "
    for line in folded(meaning, max(20, width - NAME_WIDTH)):
        yield label, "bold"
        yield f"{line}\n", ""
        label = " " * NAME_WIDTH
