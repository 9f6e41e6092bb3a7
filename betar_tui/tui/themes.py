"""The app's own themes. Textual's are offered in the command palette, the ANSI ones in the settings too.

The ANSI ones take the place of Textual's, whose blue and green cannot be read on many grounds."""

from textual.theme import BUILTIN_THEMES, Theme


def _ansi(name: str, dark: bool, primary: str, secondary: str, warning: str, error: str, success: str) -> Theme:
    """A theme of the terminal's own colours, on its own ground; what warns also accentuates."""
    parts = ("", "-hover", "-active")
    variables = {
        **{f"markdown-h{level}-color": primary for level in range(1, 7)},
        **{f"scrollbar-background{part}": "ansi_default" for part in parts},
        **{f"scrollbar{part}": primary for part in parts},
        **dict.fromkeys(("border", "input-selection-background", "link-color", "footer-key-foreground"), primary),
        **dict.fromkeys(
            ("block-cursor-foreground", "block-cursor-background", "block-hover-background"), "ansi_default"
        ),
        **dict.fromkeys(("border-blurred", "text-muted", "text-disabled", "foreground-muted"), "ansi_default"),
        "block-cursor-text-style": "bold reverse",
        "ansi-background": "ansi_black" if dark else "ansi_white",
        "ansi-foreground": "ansi_white" if dark else "ansi_black",
    }
    return Theme(
        name=name,
        ansi=True,
        primary=primary,
        secondary=secondary,
        warning=warning,
        error=error,
        success=success,
        accent=warning,
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        dark=dark,
        variables=variables,
    )


THEMES: tuple[Theme, ...] = (
    Theme(
        name="betar-dark",
        primary="#5fb3b3",
        secondary="#8aa4c8",
        accent="#e6b450",
        warning="#e6b450",
        error="#f07178",
        success="#8fcf7f",
        foreground="#d8dee4",
        background="#11151a",
        surface="#161b21",
        panel="#1e252d",
        dark=True,
    ),
    Theme(
        name="betar-light",
        primary="#1a6f78",
        secondary="#4a6590",
        accent="#8a5a00",
        warning="#8a5a00",
        error="#b3261e",
        success="#22692b",
        foreground="#1d242b",
        background="#fbfaf7",
        surface="#f3f1ec",
        panel="#e7e4dc",
        dark=False,
    ),
    _ansi(
        "ansi-dark",
        True,
        primary="ansi_bright_cyan",
        secondary="ansi_bright_magenta",
        warning="ansi_bright_yellow",
        error="ansi_bright_red",
        success="ansi_bright_green",
    ),
    _ansi(
        "ansi-light",
        False,
        primary="ansi_blue",
        secondary="ansi_magenta",
        warning="ansi_magenta",
        error="ansi_red",
        success="ansi_blue",
    ),
)

THEME_NAMES: tuple[str, ...] = tuple(dict.fromkeys((*(theme.name for theme in THEMES), *BUILTIN_THEMES)))
"""The names of all themes."""
