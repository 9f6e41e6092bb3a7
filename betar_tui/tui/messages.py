"""Messages to the app that more than one part of it sends."""

from textual.message import Message


class Retry(Message):
    """Connect to the peer, and load everything again."""
