"""The question before the end of a peer that others use."""

from betar_tui.tui import format as fmt
from betar_tui.tui.screens.dialogues import ConfirmScreen


class QuitScreen(ConfirmScreen):
    """Asks whether to take the peer from others."""

    def __init__(self, others: int) -> None:
        use, they = ("uses", "It loses") if others == 1 else ("use", "They lose")
        super().__init__(
            "Quit, and stop the peer?",
            f"{fmt.plural(others, 'other program')} {use} the peer in this window, such as another window or watch. "
            f"{they} it, and can start it again.",
            "Quit",
            "Stay",
        )
