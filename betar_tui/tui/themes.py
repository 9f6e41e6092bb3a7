"""The app's own themes. Textual's are offered in the command palette, the ANSI ones in the settings too."""

from textual.theme import BUILTIN_THEMES, Theme

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
)

THEME_NAMES: tuple[str, ...] = (*(theme.name for theme in THEMES), *BUILTIN_THEMES)
"""The names of all themes."""
