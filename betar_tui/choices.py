"""The words that some settings may have, for the help of the command line and for `config`. Quick to import."""

DIALECTS = ("auto", "documents", "betar-go")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
SHELLS = ("bash", "zsh", "fish")
