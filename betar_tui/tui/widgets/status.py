"""The status line, pinned at the top: connectivity, size of the market, activity."""

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from betar_tui.market.dialling import host_and_port, own_address
from betar_tui.market.marketplace import Connectivity
from betar_tui.market.peer_facts import next_try
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.model import MarketModel

# Sign, word, colour: sign and word suffice without colour.
SIGNS: dict[Connectivity, tuple[str, str, str]] = {
    Connectivity.STARTING: ("◌", "starting", "dim"),
    Connectivity.ALONE: ("○", "no peers", "$text-warning"),
    Connectivity.ONLINE: ("●", "online", "$text-success"),
    Connectivity.FAILED: ("✗", "failed", "$text-error"),
    Connectivity.STOPPED: ("□", "offline", "$text-warning"),
}


class StatusBar(Widget):
    """One line with the model's numbers."""

    ALLOW_SELECT = False

    def __init__(self, model: MarketModel, title: str) -> None:
        super().__init__(id="status")
        self._model = model
        self._title = title

    def render(self) -> Content:
        modes = [(mode, "$text-accent bold") for mode in getattr(self.screen, "modes", ())]
        taken = sum(cell_len(text) + 2 for text, _ in modes) + cell_len(self._title) + 2
        parts = [(f" {self._title} ", "bold"), *modes, self._connectivity(self.size.width - taken), *self._numbers()]
        shown: list[Content] = []
        left = self.size.width
        for text, style in parts:
            piece = Content.assemble((text, style), "  " if shown else " ")
            if piece.cell_length > left + 2:
                break
            left -= piece.cell_length
            shown.append(piece)
        return Content.assemble(*shown)

    def _connectivity(self, room: int) -> tuple[str, str]:
        model, status = self._model, self._model.status
        sign, word, colour = SIGNS[model.connectivity]
        if model.link_error:
            word = "lost the peer"
        elif status is not None and status.offline:
            word = "offline"
        elif status is not None and model.alone:
            word = "none in the market" if status.peers else word
            longer = f"{word}, {next_try(status.searches, model.clock())}"
            word = longer if cell_len(longer) + 4 <= room else word
        return f"{sign} {word}", colour

    def _numbers(self) -> list[tuple[str, str]]:
        model, status = self._model, self._model.status
        table = model.table
        matches = f"{table.window.matches:,}{'' if table.window.exact else '+'} of " if table.window.view.query else ""
        parts = [(f"listings {matches}{table.total:,}", "")]
        history = model.rate.history()
        rate = f"Δ {model.rate.rate():.0f}/s {fmt.spark(history[-6:])}"
        if status is None:
            return [*parts, (rate, "dim")]
        if status.peers or not model.alone:
            parts.insert(0, (f"peers {status.peers}", ""))
        parts += [(rate, "dim" if not any(history) else ""), (f"heads {status.heads}", "")]
        if status.indexing is not None:
            parts.append((status.indexing.text, "$text-warning"))
        if status.pending:
            parts.append((f"↓ {status.pending:,} wanted", "$text-warning"))
        elif model.receipts.pending:
            # Before the heads while the search for peers takes the room: it matters more.
            at = len(parts) - 1 if model.alone else len(parts)
            parts.insert(at, (f"↑ {len(model.receipts.pending)} pending", "$text-warning"))
        elif model.connectivity is Connectivity.ONLINE:
            parts.append(("synced", "$text-success"))
        if status.troubles:
            key = model.keys.name("place_replica")
            parts.append((f"! {fmt.plural(len(status.troubles), 'trouble')} ({key} tells)", "$text-error"))
        if where := host_and_port(own_address(status)):
            # The last to be shown: for a friend who is to connect.
            parts.append((f"at {neutralise(where, 60)} ({model.keys.name('own_address')} copies)", "dim"))
        return parts
