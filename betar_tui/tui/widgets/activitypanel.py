"""The activity with its own filter line, which is shown while it is typed or in force."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from betar_tui.tui import format as fmt
from betar_tui.tui.model import MarketModel
from betar_tui.tui.widgets.activitylog import ActivityLines


class ActivityInput(Input):
    """The filter's input; Enter keeps the filter, Esc removes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "close(True)", "Back to the activity", key_display="⏎"),
        Binding("down", "close(True)", "Back to the activity", show=False),
        Binding("escape", "close(False)", "Take it away", show=False),
    ]

    class Closed(Message):
        """The person goes back to the lines, and keeps the filter or not."""

        def __init__(self, keep: bool) -> None:
            super().__init__()
            self.keep = keep

    def __init__(self) -> None:
        hint = "words in name, kind or seller; !word leaves out"
        super().__init__(placeholder=hint, compact=True, id="activity-filter", select_on_focus=False)

    def action_close(self, keep: bool) -> None:
        self.post_message(self.Closed(keep))


class ActivityPanel(Vertical):
    """The filter line above the lines."""

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="activity-panel")
        self._model = model
        self._verdict = ""

    def compose(self) -> ComposeResult:
        with Horizontal(id="activity-bar"):
            yield Static(" /", id="activity-slash")
            yield ActivityInput()
            yield Static("", id="activity-verdict")
        yield ActivityLines(self._model)

    def on_mount(self) -> None:
        self.query_one("#activity-bar").display = False

    @property
    def lines(self) -> ActivityLines:
        """The lines."""
        return self.query_one(ActivityLines)

    @property
    def title(self) -> str:
        """The title in the pane's frame: the rate of changes, and whether the log is paused."""
        rate, log = self._model.rate, self._model.activity
        title = f"Activity  Δ {rate.rate():.0f}/s {fmt.spark(rate.history())}"
        return (
            f"{title}  paused, {log.waiting:,} wait ({self._model.keys.name('pause')} goes on)" if log.paused else title
        )

    def update_entries(self) -> None:
        """Show the current entries and the number that the filter leaves."""
        self.lines.update_entries()
        shown, total = self.lines.count, len(self._model.activity)
        verdict = f"{shown:,} of {total:,} " if shown or not total else f"none of {total:,}: Esc takes the filter away "
        # The verdict is as wide as its text, so an update lays out the whole screen: not for a line that is hidden.
        if self.query_one("#activity-bar").display and verdict != self._verdict:
            self._verdict = verdict
            self.query_one("#activity-verdict", Static).update(Content(verdict))

    def ask_filter(self) -> None:
        """Show the filter line and give it the focus."""
        self.query_one("#activity-bar").display = True
        self.update_entries()
        # Not `widget.focus()`, which is deferred: keys typed ahead would go to the old focus.
        self.screen.set_focus(self.query_one(ActivityInput))

    def clear_filter(self) -> bool:
        """Remove the filter; False if there was none."""
        bar, field = self.query_one("#activity-bar"), self.query_one(ActivityInput)
        was_shown = bool(bar.display)
        field.value = ""
        self._apply("")
        bar.display = False
        return was_shown

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._apply(event.value)

    def on_activity_input_closed(self, event: ActivityInput.Closed) -> None:
        """Go back to the lines; an empty or unwanted filter is removed."""
        event.stop()
        if not event.keep or not self.query_one(ActivityInput).value.strip():
            self.clear_filter()
        self.screen.set_focus(self.lines)

    def _apply(self, text: str) -> None:
        if text.strip() != self.lines.filter_text:
            self.lines.filter_text = text.strip()
            self.update_entries()
