"""The words that some settings may have, and the currency, for the help of the command line, `config` and `market.fields`.
Quick to import."""

DIALECTS = ("auto", "documents", "betar-go")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
SHELLS = ("bash", "zsh", "fish")
CURRENCY = "USDC"
"""What prices are in; `market.fields` offers it to all but the command line."""
