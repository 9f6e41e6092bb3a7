"""Words that mean something: those that some settings may have, "-" for stdin or stdout, the currency. Quick to import, for
the help of the command line."""

DIALECTS = ("auto", "documents", "betar-go")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
SHELLS = ("bash", "zsh", "fish")
STDIO = "-"
"""The path that stands for stdin or stdout."""
CURRENCY = "USDC"
"""The currency of prices, as with Go betar and x402."""
