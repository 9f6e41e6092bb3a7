"""The part of the app that fits what it draws to the terminal: its colours, and the width of its letters."""

from collections.abc import Sequence

from textual.driver import Driver
from textual.filter import LineFilter, NoColor

from betar_tui.tui.contrast import Legible, LegibleAnsi, shades
from betar_tui.tui.placing import placing
from betar_tui.tui.toasts import ToastingApp


class ColouredApp(ToastingApp):
    """An app whose text can be told from its ground in each theme, with all colours, few or none."""

    _depth = ""

    def __init__(self) -> None:
        super().__init__()
        # Without any colours the terminal is as with NO_COLOR; with few of them a theme has other shades.
        self._depth = self.console.color_system or ""
        self.no_color = self.no_color or not self._depth
        if self.no_color:
            # Textual would show greys, also for dim text.
            self._filters = [NoColor()]
        self._legible, self._legible_ansi = (
            Legible(self._depth),
            {dark: LegibleAnsi(dark=dark) for dark in (True, False)},
        )

    def get_css_variables(self) -> dict[str, str]:
        """Those of the theme, with shades that can be told from its ground on this terminal."""
        variables = super().get_css_variables()
        return {**variables, **shades(variables, self._depth)}

    def get_driver_class(self) -> type[Driver]:
        """The driver of this platform, which puts what follows letters of disputed width on its column."""
        return placing(super().get_driver_class())

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every line passes through on its way to the terminal: at last, what makes all of it legible."""
        filters = super().get_line_filters()
        if self.no_color:
            return filters
        return [*filters, self._legible_ansi[self.current_theme.dark] if self.native_ansi_color else self._legible]

    def shown_theme(self, name: str) -> str:
        """The theme that stands in for a chosen one: where there are but sixteen colours, one of these."""
        theme = self.get_theme(name)
        if theme is None or theme.ansi or self._depth != "standard":
            return name
        return "ansi-dark" if theme.dark else "ansi-light"
