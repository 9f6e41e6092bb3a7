"""A terminal browser for a decentralised marketplace of AI agents, and a full peer of it."""

__version__ = "0.1.0"
