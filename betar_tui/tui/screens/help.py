"""The help, generated from the table of actions."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from betar_tui.tui.context import ScreenContext
from betar_tui.tui.keybindings import SCOPE_TITLES, actions_in
from betar_tui.tui.keymap import KeyMap

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


class HelpScreen(ModalScreen[None]):
    """The keys by scope, the filter's grammar, the signs."""

    SCOPE = ""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", key_display="Esc"),
        Binding("question_mark,q,f1", "close", "Close", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
    ]

    def __init__(self, context: ScreenContext, scope: str) -> None:
        super().__init__()
        self._scope, self._keys = scope, context.model.keys

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue", id="help"):
            with VerticalScroll(can_focus=True):
                yield Static(help_text(self._scope, self._keys))
            yield Button("Close (Esc)", compact=True)

    def on_button_pressed(self) -> None:
        self.dismiss(None)

    def action_close(self) -> None:
        self.dismiss(None)

    def action_scroll(self, by: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


def help_text(scope: str, keys: KeyMap) -> Content:
    """All keys, beginning with those of a scope."""
    scopes = sorted(SCOPE_TITLES, key=lambda name: name != scope)
    parts: list[Content | tuple[str, str]] = []
    for name in scopes:
        parts.append((f"{SCOPE_TITLES[name]}\n", "bold $accent"))
        for action in actions_in(name):
            parts += [(f"  {keys.names(action.id):<12}", "bold"), Content(f" {action.help_in(name)}\n")]
        if name == "app":
            parts += [(f"  {'^p':<12}", "bold"), Content(" Command palette: everything by name, themes too\n")]
        parts.append(Content("\n"))
    for title, lines in (("Filter", FILTER_HELP), ("Signs", SIGN_HELP)):
        parts.append((f"{title}\n", "bold $accent"))
        for example, meaning in lines:
            parts += [(f"  {example:<12}", "bold"), Content(f" {meaning}\n")]
        parts.append(Content("\n"))
    return Content.assemble(*parts[:-1])
