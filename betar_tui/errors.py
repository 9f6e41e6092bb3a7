"""The hierarchy of errors a caller may catch.

A message says what happened, to what, and what to do next: it is printed to people as it is, without a traceback.
Anything that is not a `BetarError` is a defect of ours.
"""


class BetarError(Exception):
    """Base of every error that is somebody's to handle."""


class UsageError(BetarError):
    """A command was given arguments that do not go together."""


class InterfaceError(BetarError):
    """The interface has failed."""


class OutputError(BetarError):
    """What was to be printed cannot be."""


class ConfigError(UsageError):
    """An option, a settings file or the identity key cannot be used."""


class StoreError(BetarError):
    """The replica's database cannot be used; nothing was changed."""


class StoreLockedError(StoreError):
    """Another process holds the data directory. `pid` is that process, or 0 when it did not say."""

    def __init__(self, message: str, pid: int = 0) -> None:
        super().__init__(message)
        self.pid = pid


class DecodeError(BetarError):
    """Bytes from outside are not what they claim to be; their sender is to blame."""


class ListingError(BetarError):
    """A listing's fields are not valid. `field` names the first bad one."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class UnknownListingError(BetarError):
    """No listing has that id."""


class NotOwnerError(BetarError):
    """The action is only for the listing's own seller."""


class FilterError(BetarError):
    """A filter cannot be understood. `position` is where in the text, counted in characters from 0."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


class ArchiveError(BetarError):
    """A CAR file cannot be written, read or merged."""


class NetworkError(BetarError):
    """A peer cannot be reached or does not speak with us."""


class ControlError(BetarError):
    """The running peer of a data directory cannot be asked."""


class NoRunningPeerError(ControlError):
    """The command needs a running peer and the data directory has none."""
