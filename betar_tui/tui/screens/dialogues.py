"""Small dialogues: a question to confirm, a choice between two texts, and the address of a peer."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from betar_tui.errors import BetarError
from betar_tui.market.marketplace import Connected
from betar_tui.market.text import neutralise
from betar_tui.multiaddrs import split_peer
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.overtaking import excerpts
from betar_tui.tui.workers import start


class ConfirmScreen(ModalScreen[bool]):
    """A question that names its subject. The safe answer has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n", "answer(False)", "No"),
        Binding("escape", "answer(False)", "Back", key_display="Esc"),
        Binding("q", "answer(False)", "Back", show=False),
        Binding("left,right", "app.focus_next", "Other", show=False),
    ]

    def __init__(self, question: str, consequence: str, yes: str, no: str = "Keep it") -> None:
        super().__init__()
        self._question, self._consequence, self._yes, self._no = question, consequence, yes, no

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue"):
            yield Static(self._text(), id="question")
            with Horizontal(classes="dialogue-buttons"):
                yield Button(Content(f"{self._yes} (y)"), variant="error", id="yes", compact=True)
                yield Button(Content(f"{self._no} (n)"), id="no", compact=True)

    def _text(self) -> Content:
        return Content.assemble((self._question, "bold"), "\n\n", (self._consequence, "dim"))

    def explain(self, consequence: str) -> None:
        """Say more of what follows, as soon as it is known."""
        self._consequence = consequence
        for static in self.query("#question").results(Static):
            static.update(self._text())

    def on_mount(self) -> None:
        """Enter by mistake must not remove anything."""
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


class ConflictScreen(ModalScreen[bool | None]):
    """Two texts for one field of a listing: answers with whether the own one counts, None to go back to the form."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "answer(True)", "Mine"),
        Binding("t", "answer(False)", "Theirs"),
        Binding("escape", "dismiss(None)", "Back to the form", key_display="Esc"),
        Binding("left,right", "app.focus_next", "Other", show=False),
    ]

    def __init__(self, label: str, mine: str, theirs: str) -> None:
        super().__init__()
        self._label, self._mine, self._theirs = label, mine, theirs

    def compose(self) -> ComposeResult:
        mine, theirs = excerpts(self._mine, self._theirs)
        with Vertical(classes="dialogue"):
            yield Static(
                Content.assemble(
                    (f"{self._label}: changed on another device while you edited", "bold"),
                    ("\n\nMine\n", "bold $accent"),
                    mine,
                    ("\n\nTheirs\n", "bold $accent"),
                    theirs,
                )
            )
            with Horizontal(classes="dialogue-buttons"):
                yield Button("Save mine (m)", id="mine", compact=True)
                yield Button("Keep theirs (t)", id="theirs", compact=True)
                yield Button("Back to the form (Esc)", id="back", compact=True)

    def on_mount(self) -> None:
        """Enter by mistake must not replace anything."""
        self.query_one("#back").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss({"mine": True, "theirs": False}.get(event.button.id or ""))

    def action_answer(self, mine: bool) -> None:
        self.dismiss(mine)


class ConnectScreen(ModalScreen[Connected | None]):
    """Asks for an address and dials it; answers with the peer. An error shows in the dialogue, below the address.

    `own` is the address of this peer, "" where it has none; `copy_own` copies it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back", key_display="Esc")]

    def __init__(self, bridge: Bridge, own: str = "", copy_own: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._bridge, self._own, self._copy_own = bridge, own, copy_own

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue"):
            hint = ("  its address ends in /p2p/<peer id>", "dim")
            yield Static(Content.assemble(("Add a peer", "bold"), hint))
            yield Input(placeholder="/ip4/203.0.113.7/tcp/4001/p2p/12D3Koo…", compact=True, id="address")
            yield Static("", id="verdict")
            if self._own:
                yield Static(
                    Content.assemble(("\nYours, for the other side\n", "bold"), (neutralise(self._own), "dim"))
                )
            with Horizontal(classes="dialogue-buttons"):
                yield Button("Connect (⏎)", variant="primary", id="go", compact=True)
                if self._own:
                    yield Button("Copy yours", id="copy-own", compact=True)
                yield Button("Back (Esc)", id="cancel", compact=True)

    def on_input_submitted(self) -> None:
        self._go()

    def on_input_changed(self) -> None:
        self._show_verdict("")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "go":
            self._go()
        elif event.button.id == "copy-own":
            self._copy_own()
        else:
            self.dismiss(None)

    def action_cancel(self) -> None:
        self.dismiss(None)

    def _go(self) -> None:
        address = self.query_one(Input).value.strip()
        if not address.startswith("/"):
            self._show_verdict(
                "a multiaddr begins with /, such as /ip4/203.0.113.7/tcp/4001/p2p/12D3Koo…", "$text-error"
            )
        elif not split_peer(address)[1]:
            self._show_verdict(
                "it must end in /p2p/<peer id>: without the id nobody can tell who answers", "$text-error"
            )
        else:
            self._show_verdict("◌ connecting…", "dim")
            start(self, partial(self._connect, address))

    async def _connect(self, address: str) -> None:
        try:
            self.dismiss(await self._bridge.connect(address))
        except BetarError as error:
            self._show_verdict(f"✗ {neutralise(str(error), 300)}", "$text-error")

    def _show_verdict(self, text: str, style: str = "") -> None:
        self.query_one("#verdict", Static).update(Content.assemble((text, style)))
